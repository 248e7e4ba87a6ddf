"""examples/classify.py: what is wrong with an image is said before a network is downloaded, and names are no markup."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from keras_se import weights

from .checkpoints import CONFIG, write_folder


@pytest.fixture(scope="module")
def classify() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "classify.py"
    spec = importlib.util.spec_from_file_location("classify", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_of_files_are_no_markup(classify: ModuleType) -> None:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(classify.bars("a[red]b[/].jpg", [("n01440764", "tench [bold]", 0.5)]))
    assert "a[red]b[/].jpg" in captured.get()
    assert "tench [bold]" in captured.get()


def test_images_come_first(classify: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", lambda *arguments: pytest.fail("the network was loaded"))
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(tmp_path / "good.png")
    folder = write_folder(tmp_path / "weights", {}, CONFIG)
    arguments = [str(tmp_path / "good.png"), str(tmp_path / "missing.png"), "--weights", str(folder)]
    done = CliRunner().invoke(classify.main, arguments)
    assert done.exit_code == 2
    assert done.output.startswith("Error: An image file that Pillow can read was expected. Received: ")
