"""The generation example, shortened: what it writes, how it judges, and that it finds fault with what falls short."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return import_module("generate")


@pytest.fixture(scope="module")
def judging() -> ModuleType:
    return import_module("_shared.image_judge")


def data(judging: ModuleType) -> object:
    """Dark and bright images."""
    rng = np.random.default_rng(0)
    x = np.repeat([-0.5, 0.5], 20)[:, None, None, None] + 0.1 * rng.standard_normal((40, 8, 8, 1))
    y = np.repeat([0, 1], 20)
    return judging.Data(x[::2].astype("float32"), y[::2], x[1::2].astype("float32"), y[1::2], ["dark", "bright"])


def test_digits_are_from_minus_one_to_one(generate: ModuleType) -> None:
    digits = generate.handwritten()
    assert (digits.x.min(), digits.x.max(), digits.x.shape[1:]) == (-1, 1, (8, 8, 1))
    assert (len(digits.x), len(digits.held_x)) == (1437, 360)
    assert len({image.tobytes() for image in digits.held_x} & {image.tobytes() for image in digits.x}) == 0
    np.testing.assert_array_equal(digits.one_hot(digits.y).argmax(-1), digits.y)
    assert digits.names == list("0123456789")


def test_networks_and_files_get_the_same_noise_and_classes(judging: ModuleType) -> None:
    noise, labels = judging.noise_and_labels(data(judging), 10)
    again, _ = judging.noise_and_labels(data(judging), 10)
    other, _ = judging.noise_and_labels(data(judging), 10, seed=7)
    np.testing.assert_array_equal(noise, again)
    assert not np.array_equal(noise, other)
    assert noise.shape == (10, 8, 8, 1)
    assert list(labels) == [0, 1] * 5


def test_the_score_is_the_share_that_is_what_was_asked(judging: ModuleType) -> None:
    image = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)  # which the classifier gets from 0 to 1
    classifier = keras.Model(image, keras.layers.Concatenate()([0.5 - mean, mean - 0.5]))
    judge = judging.Judge(data(judging), classifier, samples=8, steps=2)
    assert judge.right() == 1.0
    signs = np.array([-1, 1, -1, 1, -1, 1, 1, -1])[:, None, None, None]  # two of eight are wrong
    assert judge.score(signs * np.ones((8, 8, 8, 1))) == 0.75
    asked = []

    def step(inputs: dict[str, np.ndarray]) -> np.ndarray:
        asked.append(inputs)
        return (2 * inputs["label"].argmax(-1)[:, None, None, None] - 1) * np.ones_like(inputs["image"])

    assert judge.score(judge.images(step)) == 1.0
    assert len(asked) == 2


def test_copies_are_told_from_new_images(judging: ModuleType) -> None:
    given = data(judging)
    np.testing.assert_allclose(judging.nearest(given.x[:3], given.x), 0, atol=1e-6)
    brute = [min(np.linalg.norm(a - b) for b in given.x) for a in given.held_x]
    np.testing.assert_allclose(judging.nearest(given.held_x, given.x), brute, atol=1e-5)
    assert "half of the held-out images: 100.0% of the samples" in judging.copies(given.x, given)
    assert judging.copies(given.x, given).endswith("hundredth of them: 100.0%.")
    far = judging.copies(given.held_x + 3, given)
    assert "half of the held-out images: 0.0% of the samples" in far
    assert far.endswith("hundredth of them: 0.0%.")


def test_shortfalls_are_found(generate: ModuleType) -> None:
    modes = {"a": "float32", "b": "int8", "c": "dynamic"}
    rows = [{"file": name, "mode": mode, "score": 0.9} for name, mode in modes.items()]
    assert generate.shortfalls(0.904, rows, generate.LEAST) == []
    assert generate.shortfalls(0.91, rows, generate.LEAST) == ["a loses 1.00%, more than 0.5%."]
    assert [sentence[0] for sentence in generate.shortfalls(0.93, rows, generate.LEAST)] == list("abc")
    low = generate.shortfalls(0.7, [], generate.LEAST)
    assert low == ["Keras has 70.00% of samples judged as asked, less than 80%."]


def test_the_picture_has_a_row_for_each(generate: ModuleType, tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3))
    generate.plot({"real": images, "Keras": images}, list("abcd"), tmp_path / "small.png")
    generate.plot({"real": images, "Keras": images, "file": images}, list("abcd"), tmp_path / "large.png")
    with Image.open(tmp_path / "small.png") as small, Image.open(tmp_path / "large.png") as large:
        assert small.width == large.width
        assert small.height < large.height


@pytest.mark.parametrize(
    ("size", "folder", "message"),
    [(16, False, r"--size requires --data\. Received: --size 16 alone"), (9, True, r"--size must be an even number")],
)
def test_what_does_not_fit_is_refused(
    generate: ModuleType, tmp_path: Path, size: int, folder: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate.loaded(tmp_path if folder else None, size)


def test_a_folder_without_classes_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--data", tmp_path, "--output", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "\nError: The folder must have two folders or more" in f"\n{done.stderr}"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("few", [0, 1, 4])
def test_a_class_of_too_few_images_to_hold_one_out_ends_with_2(generate: ModuleType, tmp_path: Path, few: int) -> None:
    """Of 5 images one is held out, which the picture shows beside samples of its class."""
    for name, count in (("dark", few), ("bright", 5)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / f"{i}.png")
    options = ["--data", str(tmp_path / "photos"), "--size", "8", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(generate.main, options, catch_exceptions=False)
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith(
        "Error: The folder must have two folders or more, each with the 5 or more images of a class."
    )
    assert line.endswith("with 2 folders, too few images in ['dark']")
    assert not (tmp_path / "out").exists()


FILES = {
    f"generate{step}{mode}"
    for step in ("", "_step")
    for mode in (".tflite", "_dynamic.tflite", "_int8.tflite", ".onnx", "_int8.onnx")
}


@pytest.mark.slow
def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLE, "--setting", "tests", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # one epoch is too little
    assert "of samples judged as asked, less than 80%." in done.stdout
    assert "20 images made with each file, in its own runtime, from the same noise" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "generate.keras", "generation.png"}


@pytest.mark.slow
def test_images_in_a_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("bright", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(level + 20 * rng.standard_normal((20, 24, 3)), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    options = ["--data", tmp_path / "photos", "--size", "8", "--setting", "tests", "--output", tmp_path / "out"]
    done = subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # after one epoch a file may be lucky or not
    assert "Traceback" not in done.stderr, done.stderr
    assert "32 images of 2 classes to train on, 8 held out." in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, "generate.keras", "generation.png"}
