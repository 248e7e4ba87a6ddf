"""What all examples have: where they write to is a folder, and anything else is an error before any work is done."""

from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

EXAMPLES = sorted(
    path.stem for path in (Path(__file__).parent.parent / "examples").glob("*.py") if '"--output"' in path.read_text()
)


def test_there_are_examples() -> None:
    assert {"digits", "finetune", "gates", "generate", "letters"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_output_must_be_a_folder(name: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    main = import_module(name).main
    assert isinstance(main, click.Command)
    done = CliRunner().invoke(main, ["--output", str(there)], catch_exceptions=False)
    assert done.exit_code == 2, done.output
    assert done.output.endswith(f"Error: Invalid value for '--output': Directory '{there}' is a file.\n")
    assert there.read_text() == "mine"
