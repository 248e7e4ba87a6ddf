"""Exports of a model on other backends. Each test is a process: a process has one backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_se.export import ExportError, to_tflite
from keras_se.export.frontend.backend_process import _in_other_process
from tests.support.cases import case

# What the programs have in common: a small trained network, and what the backend computes of its images.
BEGINNING = """
import os
import numpy as np
import keras
from keras_se.export import Images, export, to_microcontroller, to_onnx, to_tflite, verify
from keras_se.models import SEResNet

assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
model = SEResNet((1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 1), classes=3, r=2, name="small")
images = np.random.default_rng(0).normal(size=(12, 8, 8, 1)).astype("float32")
expected = keras.ops.convert_to_numpy(model(images))
"""


def run(program: str, folder: Path, backend: str = "jax") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", BEGINNING + program]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("backend", ["jax", case("torch", slow=True, marks=pytest.mark.reference)])
def test_every_format_by_the_same_call(tmp_path: Path, backend: str) -> None:
    """And `verify` compares with what the backend computes. Another test has a file from PyTorch in each run."""
    done = run(
        """
artifacts = export(
    model, ".", ("saved_model", "tflite", "microcontroller", "onnx"), quantize=(None, "int8"),
    calibration_data=lambda: (batch for batch in (images[:5], images[5:])),
)
for artifact in artifacts:
    assert artifact.parity.passed, artifact
    error = np.abs(artifact.predict(images) - expected).max()
    assert error < (1e-5 if artifact.quantize is None else 0.05), (artifact, error)
    assert (artifact.calibration or {"samples": 12})["samples"] == 12
assert verify("small.onnx", model).parity.passed
for layer in model.layers:
    layer.set_weights([np.roll(weight, 1) for weight in layer.get_weights()])
assert not verify("small.onnx", model).parity.passed
print(*(artifact.path.name for artifact in artifacts))
""",
        tmp_path,
        backend,
    )
    assert done.returncode == 0, done.stderr
    names = ["small_saved_model", "small.tflite", "small_int8.tflite", "small_microcontroller"]
    names += ["small_int8_microcontroller", "small.onnx", "small_int8.onnx"]
    assert done.stdout.split() == names
    assert {path.name for path in tmp_path.iterdir()} == set(names)


ERRORS = {
    'to_tflite(model, "a.tflite", quantize="int8")': "ValueError: calibration_data must be given",
    'to_tflite(model, "a.tflite", quantize="int4")': "ValueError: quantize must be one of",
    'to_onnx(model, "missing/a.onnx")': "NotADirectoryError: The folder of the file must exist",
    'to_onnx("model", "a.onnx")': "ValueError: model must be a keras.Model",
    'to_microcontroller(keras.Sequential([keras.Input((4, 4, 3)), keras.layers.UpSampling2D()]), "a")': (
        "ExportError: LiteRT for Microcontrollers does not support"
    ),
}


@pytest.mark.slow
def test_errors_are_the_same(tmp_path: Path) -> None:
    program = f"""
for call in {list(ERRORS)!r}:
    try:
        eval(call)
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
"""
    done = run(program, tmp_path)
    for line, expected in zip(done.stdout.splitlines(), ERRORS.values(), strict=True):
        assert line.startswith(expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.reference
def test_a_layer_that_the_other_process_does_not_know(tmp_path: Path) -> None:
    """What was exported before it, from PyTorch, stays."""
    done = run(
        """
artifact = to_onnx(model, "small.onnx")
assert np.abs(artifact.predict(images) - expected).max() < 1e-5

class Mine(keras.layers.Layer):
    def call(self, x):
        return x

to_tflite(keras.Sequential([keras.Input((4,)), Mine()]), "a.tflite")
""",
        tmp_path,
        "torch",
    )
    assert done.returncode == 1
    assert "Mine" in done.stderr.strip().splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]


def test_a_process_that_crashes_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'I0000 oneDNN custom operations are on.' >&2\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="small")
    with pytest.raises(ExportError, match=r"^Exporting small .* failed: it crashed \(SIGSEGV\)$"):
        _in_other_process(to_tflite, model, tmp_path / "a.tflite", {})
