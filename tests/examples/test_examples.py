"""What all examples have: where they write to is a folder, and anything else is an error before any work is done."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.paths import EXAMPLES

EXAMPLES = sorted(path.stem for path in EXAMPLES.glob("*.py") if "@output_option" in path.read_text())


def test_there_are_examples() -> None:
    assert {"detection", "digits", "finetune", "gates", "generate", "letters", "segmentation"} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("below", ["", "a", "a/b"])
def test_the_output_must_be_a_folder(name: str, below: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    main = import_module(name).main
    assert isinstance(main, click.Command)
    done = CliRunner().invoke(main, ["--output", str(there / below)], catch_exceptions=False)
    what = f"'{there / below}' cannot be made: '{there}' is not a folder." if below else f"'{there}' is a file."
    assert done.exit_code == 2, done.output
    assert done.output.endswith(f"Error: Invalid value for '--output': Directory {what}\n")
    assert there.read_text() == "mine"


def dangling(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


@pytest.mark.parametrize("where", [dangling, lambda folder: folder / ("a" * 300)], ids=["link", "long name"])
def test_folders_that_cannot_be_made(where: Callable[[Path], Path], tmp_path: Path) -> None:
    path = where(tmp_path)
    done = CliRunner().invoke(import_module("gates").main, ["--output", str(path)], catch_exceptions=False)
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '--output': Directory '{path}' cannot be made: " in done.output


def test_refusals_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    command_line = import_module("_shared.command_line")
    for error in (ValueError("what came"), FileNotFoundError("what is missing"), ImportError("what to install")):
        with pytest.raises(SystemExit) as caught, command_line.refusals():
            raise error
        assert caught.value.code == 2
        assert capsys.readouterr() == ("", f"Error: {error}\n")


def test_few_images_say_little() -> None:
    demo = import_module("_shared.demo")
    assert demo.introduction(4000, 7, 50) == "4,000 images of 7 classes to train on, 50 held out."
    assert demo.introduction(80, 2, 20) == (
        "80 images of 2 classes to train on, 20 held out. Scores on so few say little."
    )
