"""The letters example, shortened: what its generator draws, and what it writes."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "letters.py"


@pytest.fixture(scope="module")
def drawn() -> ModuleType:
    return import_module("_shared.drawn_letters")


def test_the_seed_decides_what_is_drawn(drawn: ModuleType) -> None:
    (x, y), (again, labels), (other, _) = (drawn.letters(52, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, labels)
    assert len({image.tobytes() for image in (*x, *other)}) == 104
    assert (x.shape, x.dtype, x.min(), x.max()) == ((52, 64, 64, 3), np.float32, 0, 1)


def test_there_is_as_much_of_each_letter(drawn: ModuleType) -> None:
    _, labels = drawn.letters(26 * 3 + 5, seed=0)
    assert set(np.bincount(labels, minlength=26)) == {3, 4}


def test_a_letter_is_where_its_mask_is(drawn: ModuleType) -> None:
    """Every typeface has every letter, and none is outside of the picture."""
    for seed, letter in enumerate(drawn.CLASSES):
        mask = np.asarray(drawn._mask(letter, np.random.default_rng(seed)))
        assert 100 < (mask > 128).sum() < 1800
    upright = {}
    for name in drawn.FONTS:
        masks = [np.asarray(drawn._font(name, 40).getmask(letter)).tobytes() for letter in drawn.CLASSES]
        upright[name] = masks
        assert len(set(masks)) == 26, f"{name} has the same picture for two letters"
    assert len({tuple(masks) for masks in upright.values()}) == len(drawn.FONTS)


def test_images_are_varied_without_turning_them_over() -> None:
    letters = import_module("letters")
    images = np.zeros((40, 64, 64, 3), "float32")
    images[:, 20:40, 30:34] = (0.8, 0.6, 0.7)  # a bar
    found = letters.varied(images, np.random.default_rng(0))
    brightness = np.sort(np.abs(found - found[:, :1, :1]).reshape(40, -1))
    np.testing.assert_allclose(brightness, np.sort(images.reshape(40, -1)), atol=1e-6)
    assert len({image.tobytes() for image in found}) > 30
    bars = np.abs(found - found[:, :1, :1]).max(axis=-1) > 0.5
    assert set(bars.any(axis=2).sum(axis=1)) == {20}
    assert set(bars.any(axis=1).sum(axis=1)) == {4}


@pytest.mark.slow
def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    options = ["--images", "520", "--held-out", "104", "--epochs", "1", "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr  # one epoch is too little
    assert "accuracy, less than 88%" in done.stdout
    assert "held-out images are right" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert {"letters.keras", "letters.png", "letters.tflite", "letters_int8.tflite", "letters.onnx"} <= names
    assert (tmp_path / "letters.png").stat().st_size < 80_000
