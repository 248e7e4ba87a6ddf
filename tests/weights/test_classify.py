"""examples/classify.py: what is wrong with an image is said before a network is downloaded, and names are no markup."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from keras_se import models, weights
from keras_se.weights import ARCHITECTURES
from keras_se.weights.preprocessing import labels
from tests.support.arrays import array, randomise
from tests.support.checkpoints import CONFIG, IN_PYTORCH, NETWORKS, values, write_folder
from tests.support.paths import EXAMPLES


@pytest.fixture(scope="module")
def classify() -> ModuleType:
    path = EXAMPLES / "classify.py"
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
    assert done.output.startswith("Error: The file must be an image that Pillow can read. Received: ")


def test_from_image_files_to_names(classify: ModuleType, tmp_path: Path) -> None:
    """Of one colour each: so they are the same however they are resized."""
    name = "mobilenetv3_small_100"
    builder, options = ARCHITECTURES[name]
    model = getattr(models, builder)(**options, input_shape=(32, 32, 3))
    randomise(model)
    classifier = model.get_layer("logits")
    classifier.kernel.assign(classifier.kernel * 50)  # so that the likeliest class is much likelier than others
    expected = values(model)
    tensors = {
        row.source: np.ascontiguousarray(IN_PYTORCH[row.kind](expected[row.ours]))
        for row in NETWORKS["mobilenetv3"].rows
    }
    cfg = {**CONFIG["pretrained_cfg"], "num_classes": 1000}
    folder = write_folder(tmp_path / "weights", tensors, {"architecture": name, "pretrained_cfg": cfg})
    colours = np.array([[250, 10, 40], [0, 0, 255]], "uint8")
    paths = [tmp_path / "[red].png", tmp_path / "blue.jpg"]
    Image.new("RGB", (50, 40), tuple(colours[0].tolist())).save(paths[0])
    Image.new("RGB", (40, 60), tuple(colours[1].tolist())).save(paths[1], quality=100, subsampling=0)

    done = CliRunner().invoke(classify.main, [*map(str, paths), "--weights", str(folder), "--top", "3"])

    assert done.exit_code == 0, done.output
    assert all(path.name in done.output for path in paths)
    pixels = (colours / 255.0 - cfg["mean"]) / cfg["std"]
    answers = array(model(np.broadcast_to(pixels[:, None, None], (2, 32, 32, 3)).astype("float32")))
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    for path, answer in zip(paths, answers, strict=True):
        lines = done.output.split(path.name)[1].split("%")[:3]
        for line, best in zip(lines, np.argsort(-answer), strict=False):
            assert labels()[best][1] in line
            assert float(line.split()[-1]) == pytest.approx(100 * answer[best], abs=0.2)


def test_answers_that_are_no_numbers(classify: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        preprocessing = weights.Preprocessing(size=(32, 32))

        def predict(self, x: np.ndarray, **options: object) -> np.ndarray:
            return np.full((len(x), 1000), np.nan, "float32")

    monkeypatch.setattr(weights, "load", lambda address: Broken())
    Image.new("RGB", (32, 32)).save(tmp_path / "black.png")
    folder = write_folder(tmp_path / "weights", {}, CONFIG)
    done = CliRunner().invoke(classify.main, [str(tmp_path / "black.png"), "--weights", str(folder)])
    assert (done.exit_code, done.output) == (
        2,
        "Error: predictions must be finite. Received: NaN or infinity in sample 0\n",
    )
