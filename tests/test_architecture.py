"""The house: which room may import which, without circles, and how large rooms and files may be.

Imports are read from the syntax tree, so that lazy ones count.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# What every room may import. These import nothing but each other.
BASICS = ("_validation", "_text", "_files", "_optional", "version")
# Room: the rooms that it may import, besides itself and the basics. A room is a folder or a module; the longest row
# counts, so that one module of a folder may have a row of its own. `*` is everything.
LIBRARY = {
    **dict.fromkeys(BASICS, ""),
    "layers": "",
    "graph": "layers",
    "complexity": "graph layers",
    "excitation": "complexity graph layers",
    "insert": "complexity graph layers",
    "prune": "excitation graph layers",
    "weights": "graph layers",
    "models": "graph layers weights",  # a builder's `weights=` reads a checkpoint
    "weights.load": "models weights layers",  # a checkpoint names its builder
    "catalog": "",
    "doctor": "",
    "cli": "*",
    "export": "*",  # the `__init__`; the folders are below
    "": "complexity excitation insert layers prune",
}
# What a folder of a format may import.
FORMAT = (
    "artifact data errors formats frontend inspect interfaces metadata modes passes pipeline probes request "
    "verification "
    "graph layers weights"
)
EXPORT = {
    # A Keras model on its way to a file
    "errors": "",
    "modes": "errors",
    "probes": "",  # programs of processes of their own
    "frontend": "errors probes graph layers",
    "passes": "frontend modes excitation graph layers",
    "data": "errors frontend graph layers weights",
    "verification": "errors frontend modes graph layers",
    "interfaces": "frontend modes",
    "formats": "interfaces modes saved_model tflite onnx microcontroller",
    "request": "data frontend interfaces modes passes verification weights",
    "metadata": "formats request verification weights",
    "artifact": "data formats frontend interfaces metadata modes verification",
    "pipeline": "artifact errors formats metadata request",
    "saved_model": FORMAT,
    "tflite": f"{FORMAT} saved_model excitation",
    "onnx": FORMAT,
    "microcontroller": f"{FORMAT} tflite targets",
    # What is done with files
    "inspect": "errors formats modes",
    "targets": "errors inspect probes",
    "benchmark": "artifact errors formats probes doctor layers",
    "report": "artifact benchmark data errors formats frontend inspect modes probes targets tflite "
    "complexity excitation weights",
    "export": "artifact data errors formats frontend modes pipeline report request",
}


def full(name: str) -> str:
    """The name of a room below `keras_se`, of one in a row of `EXPORT`."""
    return f"export.{name}" if name in EXPORT else name


ROOMS = {room: tuple(row.split()) for room, row in LIBRARY.items()}
ROOMS |= {full(room): tuple(map(full, row.split())) for room, row in EXPORT.items()}

LONGEST = 300
MODULES_IN_A_FOLDER = 15
FILES_AT_THE_TOP = {"keras_se": 8, "export": 10}


@cache
def modules() -> dict[str, Path]:
    """The files of the library, by the name below `keras_se` that a module is imported by."""
    found = {}
    for folder, prefix in (("keras_se", ()), ("export", ("export",))):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = (*prefix, *path.relative_to(ROOT / folder).with_suffix("").parts)
            if prefix or parts[0] != "export":  # which is a link to the other folder
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, tree: ast.AST) -> Iterator[str]:
    """The modules of the library that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, *parts = name.split(".")
            if top == "keras_se":
                while parts and ".".join(parts) not in modules():  # a name in a module
                    parts.pop()
                yield ".".join(parts)


@cache
def graph() -> dict[str, set[str]]:
    """Module: the modules that it imports."""
    trees = {module: ast.parse(path.read_text()) for module, path in modules().items()}
    return {module: set(imports(module, tree)) - {module} for module, tree in trees.items()}


def room(module: str) -> str:
    """The longest row that a module is in."""
    parts = module.split(".")
    rows = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((row for row in rows if row in ROOMS), "")


def allowed(importer: str, imported: str) -> bool:
    row = room(importer)
    may = {row, *BASICS, *ROOMS[row]}
    return "*" in may or any(f"{imported}.".startswith(f"{other}.") for other in may if other) or imported in may


def test_every_module_is_in_a_room() -> None:
    assert [module for module in modules() if module and room(module) == ""] == []


def test_every_room_exists_and_names_rooms_that_exist() -> None:
    assert [row for row in ROOMS if row not in modules()] == []
    assert {other for row in ROOMS.values() for other in row} - {"*"} <= set(ROOMS)


@pytest.mark.parametrize("row", ROOMS)
def test_room_imports_only_what_its_row_allows(row: str) -> None:
    arrows = [(module, other) for module, others in graph().items() if room(module) == row for other in sorted(others)]
    assert [f"{module} imports {other}" for module, other in arrows if not allowed(module, other)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: set(others) for module, others in graph().items()}
    while free := {module for module, others in left.items() if not others & set(left)}:
        left = {module: others for module, others in left.items() if module not in free}
    # What is left imports a circle, or is in one.
    while top := set(left) - {other for others in left.values() for other in others}:
        left = {module: others for module, others in left.items() if module not in top}
    assert {module: sorted(others & set(left)) for module, others in left.items()} == {}


def test_families_import_shared_pieces_and_no_other_family() -> None:
    families = {module: others for module, others in graph().items() if module.startswith("models.families.")}
    assert len(families) > 10
    for module, others in families.items():
        pieces = {"models._shared.builder", "models._shared.excite", "models._shared.network"}
        assert pieces <= others, module
        assert [other for other in others if room(other) == "models" and "._shared." not in other] == [], module


def test_layers_and_models_import_no_backend() -> None:
    for module, path in modules().items():
        if room(module) in ("layers", "models"):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "jax", "torch"}, module


def test_no_module_is_longer_than_300_lines() -> None:
    lines = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    assert {module: count for module, count in lines.items() if count > LONGEST} == {}


def test_no_folder_has_more_than_15_modules() -> None:
    for packages in (modules().values(), (ROOT / "tests").rglob("*.py")):
        folders = [path.parent for path in packages if path.name != "__init__.py"]
        assert {str(folder) for folder in folders if folders.count(folder) > MODULES_IN_A_FOLDER} == set()


@pytest.mark.parametrize("folder", FILES_AT_THE_TOP)
def test_tops_of_the_library_have_few_files(folder: str) -> None:
    assert len(list((ROOT / folder).glob("*.py"))) <= FILES_AT_THE_TOP[folder]


def test_lazy_and_unused_imports_are_found() -> None:
    tree = ast.parse(
        "import keras\nimport keras_se.layers.base\nfrom keras_se import models\nfrom keras_se.models import SEVGG\n"
        "def late():\n    from keras_se.models.families.senet import SENet\n    import keras_se_of_others\n"
    )
    assert list(imports("x", tree)) == ["layers.base", "models", "models", "models.families.senet"]


def test_longest_row_is_the_room_of_a_module() -> None:
    assert room("weights.load") == "weights.load"
    assert room("weights.assign") == "weights"
    assert room("export.onnx.convert") == "export.onnx"
    assert allowed("cli.commands.models", "export.report.write")
    assert not allowed("layers.base", "graph.walk")
    assert not allowed("models.families.resnet", "export")
