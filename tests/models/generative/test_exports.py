"""A small network, alone and with its step, as files: each makes what Keras makes, in its own runtime."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import error, randomise

from keras_se.export import Artifact, to_onnx, to_tflite
from keras_se.models.generative import SEDiffusionUNet, calibration_inputs, ddim_step, sample, step_model

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


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("format", EXPORTERS)
def test_files_in_floats_make_the_same_images(network: keras.Model, tmp_path: Path, format: str, whole: bool) -> None:
    model = step_model(network) if whole else network
    artifact = exported(model, tmp_path, format, None)
    assert artifact.parity.passed
    assert artifact.parity.conclusive
    assert error(made(model, artifact.predict), made(model, model)) < FLOATS
