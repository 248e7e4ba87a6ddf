"""The digits example, shortened: what it writes, and that it finds fault with what falls short."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from keras_se.export import DEFAULT_FORMATS, FORMATS
from keras_se.export.export import planned
from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "digits.py"


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    return import_module("digits")


def test_the_data_is_split_without_overlap(digits: ModuleType) -> None:
    x, y, held_x, held_y = digits.data(seed=0)
    assert (len(x), len(held_x)) == (1437, 360)
    assert (x.shape[1:], x.min(), x.max()) == ((8, 8, 1), 0.0, 1.0)
    assert len(y) == len(x)
    assert len({image.tobytes() for image in held_x} & {image.tobytes() for image in x}) == 0
    assert [len(part) for part in digits.data(0, held_out=1000)] == [797, 797, 1000, 1000]
    assert min((held_y == digit).sum() for digit in range(10)) >= 34  # every class is held out


def test_shortfalls_are_found(digits: ModuleType) -> None:
    rows = [{"file": "a", "mode": "float32", "score": 0.98}, {"file": "b", "mode": "int8", "score": 0.975}]
    rows.append({"file": "c", "mode": "int16x8", "score": 0.978})
    assert digits.shortfalls(0.98, rows, 1000) == []
    found = ["a loses 1.00%, more than 0.0%.", "b loses 1.50%, more than 1.0%.", "c loses 1.20%, more than 0.3%."]
    assert digits.shortfalls(0.99, rows, 1000) == found
    rows[2]["score"] = 0.981  # 0.9 points: few images cannot tell
    assert digits.shortfalls(0.99, rows, 360) == found[:2]
    assert digits.shortfalls(0.9, [], 360)[0].startswith("Keras has 90.00% accuracy")


def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--output", tmp_path, "--epochs", "2"], capture_output=True, text=True, check=False
    )
    # 1: two epochs may be too few for the accuracy. A crash has the same status, but another end.
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "Each file on the 360 held-out images, in its own runtime" in " ".join(done.stdout.split())
    assert "Pictures: " in done.stdout
    assert (done.returncode == 1) == bool(re.search(r"% accuracy, less than|loses \S+%, more than", done.stdout))
    files = {path.name for _, _, path in planned("digits", tmp_path, DEFAULT_FORMATS, FORMATS["tflite"].modes)}
    assert files >= {"digits_saved_model", "digits.tflite", "digits_int8.tflite", "digits.onnx", "digits_int8.onnx"}
    assert {path.name for path in tmp_path.iterdir()} == {*files, "digits.keras", "tradeoff.png", "gates.png"}
    assert "held-out images are right" in done.stdout
