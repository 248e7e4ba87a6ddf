"""A toy format, a folder and a row, and toy modes, a row each: everything works with them, and nothing else changes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import FORMATS, Artifact, benchmark, export, read_metadata, to_tflite, verify, write_report
from keras_se.export.inspect import inspect
from keras_se.export.modes import MODES, Mode
from tests.support.toy_format import FORMAT

RNG = np.random.default_rng(0)


@pytest.fixture
def model() -> keras.Model:
    image = keras.Input((6, 6, 2), name="image")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(4, 3, name="conv")(image))
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x), name="toy_model")


@pytest.fixture
def data() -> np.ndarray:
    return RNG.normal(RNG.normal(0, 1, (8, 1, 1, 1)), 1, (8, 6, 6, 2)).astype("float32")


@pytest.fixture
def toy_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, FORMAT.name, FORMAT)


@pytest.fixture
def toy_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are rounded to 16 bits by the row's own function."""

    def write_rounded(model: Any, request: Any) -> tuple[bytes, list[str]]:
        from keras_se.export.tflite.quantize import write_float16

        content, notes = write_float16(model, request)
        return content, [*notes, "Written in the toy mode."]

    writers = {"tflite": write_rounded, "onnx": "keras_se.export.onnx.quantize:to_float16"}
    row = Mode("toy", writers, tolerance=2e-3, margin=5.0, weight_bits=16, looks_like=("float16",))
    monkeypatch.setitem(MODES, row.name, row)


@pytest.mark.usefixtures("toy_format")
def test_a_toy_format_needs_a_folder_and_a_row(model: keras.Model, data: np.ndarray, tmp_path: Path) -> None:
    artifacts = export(model, tmp_path, ("toy", "tflite"), verification_data=data)
    toy = artifacts[0]
    assert toy.path == tmp_path / "toy_model.toy"
    assert toy.parity.passed
    assert "The toy format was written." in toy.notes
    assert np.abs(toy.predict(data) - model.predict(data, verbose=0)).max() < 1e-5
    assert verify(toy.path, model, data).parity.passed
    assert Artifact.open(toy.path).format == "toy"
    assert read_metadata(toy.path)["parity"]["passed"]
    assert inspect(toy.path).inputs[0].name == "image"
    measured, _ = benchmark([toy.path, artifacts[1].path], rounds=2, profile=False)
    assert measured.format == "toy"
    page = write_report(model, tmp_path / "report.html", artifacts, data=data).read_text()
    assert "toy_model.toy" in page
    assert "--toy: #123456" in page


@pytest.mark.usefixtures("toy_mode")
def test_a_toy_mode_needs_a_row(model: keras.Model, data: np.ndarray, tmp_path: Path) -> None:
    assert "toy" in FORMATS["tflite"].modes
    (artifact,) = export(model, tmp_path, "tflite", quantize="toy", verification_data=data)
    assert artifact.path.name == "toy_model_toy.tflite"
    assert artifact.quantize == "toy"
    assert artifact.parity.passed
    assert "Written in the toy mode." in artifact.notes
    assert Artifact.open(artifact.path).quantize == inspect(artifact.path).quantize == "toy"
    assert verify(artifact.path, model, data).parity.tolerance >= 2e-3
    (measured,) = benchmark(artifact.path, rounds=2, profile=False)
    assert measured.size == artifact.size
    page = write_report(model, tmp_path / "report.html", [artifact], data=data).read_text()
    assert "toy_model_toy.tflite" in page
    with pytest.raises(ValueError, match=r"quantize must be one of .*'toy'"):
        to_tflite(model, tmp_path / "other.tflite", quantize="int4")


@pytest.mark.usefixtures("toy_mode")
def test_a_toy_mode_works_in_onnx(model: keras.Model, data: np.ndarray, tmp_path: Path) -> None:
    (artifact,) = export(model, tmp_path, "onnx", quantize="toy", verification_data=data)
    assert artifact.path.name == "toy_model_toy.onnx"
    assert Artifact.open(artifact.path).quantize == inspect(artifact.path).quantize == "toy"
