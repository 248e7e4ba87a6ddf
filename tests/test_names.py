"""Names of tests say behaviour and outcome, in less than 60 characters."""

import ast

from tests.support.paths import TESTS

LONGEST = 60


def test_names_of_tests_are_shorter_than_60_characters() -> None:
    long = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) >= LONGEST:
                long[node.name] = str(path.relative_to(TESTS))
    assert long == {}


def test_no_test_changes_the_import_path() -> None:
    changed = [str(path) for path in TESTS.rglob("*.py") if "sys.path." + "insert" in path.read_text()]
    assert changed == []


def test_imports_in_tests_are_absolute() -> None:
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
