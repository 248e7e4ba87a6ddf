"""The same export has the same bytes, in another process and later in the same one."""

import os
import subprocess
import sys
from pathlib import Path

from keras_se.export import to_saved_model
from tests.support.networks import sample

EXPORT = """
import sys
import keras
import numpy as np
from keras_se.export import FORMATS, export

source, folder = sys.argv[1:]
model, images = keras.saving.load_model(source), np.random.default_rng(0).normal(size=(8, 16, 16, 3))
for formats, modes in (
    ("saved_model", None),
    ("tflite", (None, "int8", "selective")),
    ("onnx", (None, "float16", "int8")),
):
    export(model, folder, formats, quantize=modes, calibration_data=images if modes else None)
"""


def test_export_bytes_are_equal_in_every_process(tmp_path: Path) -> None:
    sample("se_resnet").model.save(tmp_path / "model.keras")
    folders = [tmp_path / name for name in ("one", "other")]
    running = []
    for seed, folder in enumerate(folders, 1):
        folder.mkdir()
        command = [sys.executable, "-c", EXPORT, tmp_path / "model.keras", folder]
        # What comes out of sets is in another order.
        running.append(subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": str(seed)}))
    assert [process.wait() for process in running] == [0, 0]
    one, other = map(content, folders)
    assert len(one) == 6 + 4  # of which a SavedModel has four
    assert {name for name in one if one[name] != other.get(name)} == set()


def test_saved_model_bytes_are_equal_later(exported, tmp_path: Path) -> None:
    """TensorFlow numbers functions and variables over the whole process."""
    again = to_saved_model(sample("se_resnet").model, tmp_path / "again_saved_model")
    assert content(again.path) == content(exported("se_resnet", "saved_model").path)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
