"""A small network, alone and with its step, as files: each makes what Keras makes, in its own runtime."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import Artifact, ExportError, to_onnx, to_tflite
from keras_se.export.verification.parity import compare
from keras_se.layers import DDIMStep
from keras_se.models.generative import SEDiffusionUNet, calibration_inputs, ddim_step, sample, step_model
from tests.support.arrays import array, error, randomise

LABELS = np.eye(3, dtype="float32")[[0, 1, 2, 1]]
STEPS = 4
EXPORTERS = {"tflite": to_tflite, "onnx": to_onnx}
# How far images may be from those of Keras, which have values from -1 to 1.
FLOATS, BITS = 1e-4, 0.15


@pytest.fixture(scope="module")
def network() -> keras.Model:
    model = SEDiffusionUNet((8, 8, 1), 3, filters=(4, 8), depths=(1, 1), r=2, name="tiny")
    randomise(model)
    return model


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 8, 8, 1)).astype("float32")


def made(model: keras.Model, step: Any) -> np.ndarray:
    """Images by a file's or a model's function, of a network alone or of a whole step."""
    return sample(step if "next_time" in model.input else ddim_step(step), noise(0), LABELS, steps=STEPS)


def exported(model: keras.Model, folder: Path, format: str, mode: str | None, **options: Any) -> Artifact:
    inputs = calibration_inputs(model, noise(1), LABELS, steps=STEPS)
    calibration = {"calibration_data": inputs} if mode in ("int8", "selective", "int16x8") else {}
    path = folder / f"{model.name}.{format}"
    return EXPORTERS[format](model, path, quantize=mode, verification_data=inputs, **calibration, **options)


def operations(artifact: Artifact) -> dict[str, int]:
    return artifact.runner.operations()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("format", EXPORTERS)
def test_files_in_floats_make_the_same_images(network: keras.Model, tmp_path: Path, format: str, whole: bool) -> None:
    model = step_model(network) if whole else network
    artifact = exported(model, tmp_path, format, None)
    assert artifact.parity.passed
    assert artifact.parity.conclusive
    assert set(artifact.predict(calibration_inputs(model, noise(1), LABELS, steps=1)).shape) == {4, 8, 1}
    assert error(made(model, artifact.predict), made(model, model)) < FLOATS


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("format", "mode", "options"),
    [
        ("tflite", "int8", {}),
        ("tflite", "int8", {"io_dtype": "int8"}),
        ("tflite", "dynamic", {}),
        ("tflite", "selective", {"keep": "time_embedding"}),
        ("onnx", "int8", {}),
    ],
)
def test_files_in_8_bits_make_nearly_the_same_images(
    network: keras.Model, tmp_path: Path, format: str, mode: str, options: dict[str, Any], whole: bool
) -> None:
    model = step_model(network) if whole else network
    if whole and mode == "selective":
        options = {"keep": ["ddim", "tiny/time_embedding"]}
    artifact = exported(model, tmp_path, format, mode, **options)
    assert artifact.parity.passed
    difference = np.abs(made(model, artifact.predict) - made(model, model))
    assert difference.mean() < BITS
    other = np.abs(made(model, model) - sample(ddim_step(network), noise(2), LABELS, steps=STEPS))
    assert difference.mean() < other.mean() / 4  # images of other noise are far from that


@pytest.mark.parametrize("whole", [False, True])
def test_files_in_floats_are_one_delegate_partition(network: keras.Model, tmp_path: Path, whole: bool) -> None:
    """Batch norms are gone, and what is made of time and label is of LiteRT's built-in operations, too."""
    artifact = exported(step_model(network) if whole else network, tmp_path, "tflite", None)
    found = operations(Artifact.open(artifact.path))
    assert found.pop("DELEGATE") == 1
    sampling = {"SUB", "SQRT", "DIV", "MINIMUM", "MAXIMUM", "RELU_N1_TO_1"} if whole else set()
    network_alone = {
        "CONV_2D",
        "TRANSPOSE_CONV",
        "AVERAGE_POOL_2D",
        "PAD",
        "MEAN",
        "LOGISTIC",
        "MUL",
        "ADD",
        "SIN",
        "COS",
    }
    assert set(found) <= network_alone | {"CONCATENATION", "FULLY_CONNECTED", "RESHAPE"} | sampling


def test_int16x8_is_refused_in_a_sentence(network: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"Exporting tiny to int16x8 tflite failed: .*not yet supported for op: '(COS|SIN)'"
    ):
        exported(network, tmp_path, "tflite", "int16x8")
    assert list(tmp_path.iterdir()) == []


def test_step_file_that_ignores_its_network_is_refused(network: keras.Model) -> None:
    """On the short steps of the way a wrong velocity hardly shows, which is why files are verified on long ones."""
    step = step_model(network)
    errors = {}
    for steps in (25, 2):
        inputs = calibration_inputs(step, noise(1), LABELS, steps=steps)
        still = array(DDIMStep()([inputs["image"], 0 * inputs["image"], inputs["time"], inputs["next_time"]]))
        errors[steps] = compare({"x": array(step(inputs))}, {"x": still}, quantize="int8")
    assert not errors[2].passed
    assert errors[25].error < errors[2].error / 3
