"""The fine-tuning example, shortened: what it compares, how it counts, what it refuses, and what it writes."""

import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from keras_se import SqueezeExcite
from tests.support.arrays import randomise
from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "finetune.py"


@pytest.fixture(scope="module")
def finetune() -> ModuleType:
    return import_module("finetune")


def run(*options: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)


def folder_of_images(folder: Path, counts: dict[str, int]) -> Path:
    """Pictures of one grey for each class, with a number that no other has in one of their channels."""
    rng = np.random.default_rng(0)
    for label, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((16, 24, 3), 40 * label, "uint8") + rng.integers(0, 20, 3, "uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def test_a_folder_is_split_by_class(tmp_path: Path) -> None:
    image_folder = import_module("_shared.image_folder").image_folder
    folder = folder_of_images(tmp_path, {"owl": 10, "cat": 5})
    (tmp_path / "notes.txt").write_text("no class")
    (x, y), (held_x, held_y), names = image_folder(folder, (8, 12))
    assert names == ["cat", "owl"]
    assert (x.shape, held_x.shape, x.dtype) == ((12, 8, 12, 3), (3, 8, 12, 3), np.float32)
    assert (np.bincount(y).tolist(), np.bincount(held_y).tolist()) == ([4, 8], [1, 2])
    for images, labels in ((x, y), (held_x, held_y)):  # owls were drawn first
        assert ((images[:, 0, 0, 0] * 255 < 20) == (labels == 1)).all()
        assert (images[labels == 0] * 255 >= 39).all()
    assert not {image.tobytes() for image in x} & {image.tobytes() for image in held_x}
    again = image_folder(folder, (8, 12))[0][0]
    np.testing.assert_array_equal(again, x)


def test_folders_with_too_little_are_refused(tmp_path: Path) -> None:
    image_folder = import_module("_shared.image_folder").image_folder
    folder_of_images(tmp_path, {"a": 5})
    with pytest.raises(ValueError, match=r"two folders or more.*with 1 folders, too few images in \[\]"):
        image_folder(tmp_path, (8, 8))
    folder_of_images(tmp_path, {"b": 4})
    with pytest.raises(ValueError, match=r"with 2 folders, too few images in \['b'\]"):
        image_folder(tmp_path, (8, 8))


def test_both_go_on_from_the_same_network(finetune: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(20, 32, 32, 3)).astype("float32")
    data = finetune.Data(x, np.arange(20) % 3, x[:6], np.arange(6) % 3, 3, lambda images, rng: images + rng.normal())
    normal = keras.layers.Normalization()
    normal.adapt(rng.normal(5, 3, size=(50, 32, 32, 3)))  # which is in no configuration
    network = finetune.build(data)
    randomise(network)
    image = keras.Input((32, 32, 3))
    start = keras.Model(image, network(normal(image)), name="plain")
    assert not [layer for layer in start._flatten_layers() if isinstance(layer, SqueezeExcite)]
    before = start.get_weights()
    seen: dict[str, list] = {}

    def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, bar: object, **options: object) -> None:
        seen[model.name] = [model.predict(x, verbose=0), options["varied"](x), epochs, options["rate"]]

    monkeypatch.setattr(finetune.demo, "train", train)
    result, excited = finetune.compared(start, data, 2, 4, 0, Progress(disable=True))
    assert set(seen) == {"plain", "plain_se"}
    for without, with_se in zip(seen["plain"], seen["plain_se"], strict=True):
        np.testing.assert_allclose(without, with_se, atol=1e-5)
    assert [layer for layer in excited._flatten_layers() if isinstance(layer, SqueezeExcite)]
    assert result.before == result.plain == result.se == np.mean(seen["plain"][0][:6].argmax(-1) == data.held_y)
    for weight, own in zip(before, start.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, own)
    with pytest.raises(ValueError, match=r"^A copy must compute .* Received: 'plain', which differs by"):
        finetune.check_same(start, finetune.build(data), x)


def test_counting(finetune: ModuleType) -> None:
    results = [finetune.Result(0.5, 0.6, 0.63), finetune.Result(0.5, 0.7, 0.66), finetune.Result(0.5, 0.8, 0.82)]
    demo = import_module("_shared.demo")
    assert demo.spread([0.6, 0.7, 0.8]) == "70.00% ± 10.00"
    assert demo.spread([0.6]) == "60.00%"
    both = "SE changed the accuracy by +0.33 ± 3.79 points; it was higher with SE for 2 of 3 seeds."
    assert demo.verdict([0.6, 0.7, 0.8], [0.63, 0.66, 0.82]) == both  # +3, -4, +2
    assert demo.verdict([0.7], [0.66], "mean IoU").startswith(
        "SE changed the mean IoU by -4.00 points; it was higher with SE for 0 of 1 seed."
    )
    console = Console(width=100, record=True, file=StringIO())
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    console.print(finetune.table(results, model, model, 4))
    text = console.export_text()
    assert "trained on with SE, epochs: 4" in text
    assert "50.00% ± 0.00" in text


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((8, 8, 3), 3, "from (8, 8, 3) to (3,)"),
        ((8, 8, 1), 2, "images of a fixed size, in colours. Received: an input of shape (None, 8, 8, 1)"),
    ],
)
def test_a_model_that_does_not_fit(
    finetune: ModuleType, tmp_path: Path, shape: tuple[int, ...], classes: int, message: str
) -> None:
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)])
    model.save(tmp_path / "model.keras")
    folder = folder_of_images(tmp_path / "images", {"a": 5, "b": 5})
    options = ("--model", tmp_path / "model.keras", "--data", folder, "--output", tmp_path / "out")
    done = CliRunner().invoke(finetune.main, [str(option) for option in options])
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "must give probabilities, those of an image with a sum of 1, as behind a softmax. Received: 'logits'"),
        (("--epochs", "3"), "--epochs has no effect with --model. Received: both"),
        (("--held-out", "3"), "--held-out has no effect with --data. Received: both"),
    ],
)
def test_what_has_no_use_is_refused(
    finetune: ModuleType, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    last = keras.layers.Dense(2, activation="softmax" if options else None)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), last], name="logits")
    model.save(tmp_path / "model.keras")
    folder = folder_of_images(tmp_path / "images", {"a": 5, "b": 5})
    given = ("--model", tmp_path / "model.keras", "--data", folder, "--output", tmp_path / "out", *options)
    done = CliRunner().invoke(finetune.main, [str(option) for option in given])
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_model_and_images_of_ones_own(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *(keras.layers.Conv2D(8, 3, padding="same", activation="relu", strides=2) for _ in range(2)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name="own",
    )
    model.save(tmp_path / "own.keras")
    folder = folder_of_images(tmp_path / "images", {"a": 40, "b": 40})
    options = ["--model", tmp_path / "own.keras", "--data", folder, "--output", tmp_path / "out"]
    done = run(*options, "--more", "1", "--seeds", "2", "-r", "2")
    assert done.returncode == 0, done.stderr
    assert "64 images of 2 classes to train on, 16 held out." in done.stdout
    assert "of 2 seeds." in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("own_se.keras", "own_se.tflite", "own_se_int8.tflite")
    }
    excited = keras.saving.load_model(tmp_path / "out" / "own_se.keras")
    assert sum(isinstance(layer, SqueezeExcite) for layer in excited.layers) >= 1


@pytest.mark.slow
def test_a_short_run_on_letters(tmp_path: Path) -> None:
    options = ["--images", "130", "--held-out", "52", "--epochs", "1", "--more", "1", "--seeds", "1"]
    done = run(*options, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "SE changed the accuracy by" in done.stdout
    assert "plain_se_int8.tflite" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        *("plain_se.keras", "plain_se.tflite", "plain_se_int8.tflite")
    }
