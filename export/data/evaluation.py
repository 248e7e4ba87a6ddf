"""Labelled data, and the accuracy of a classifier on them."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_se.export.data.calibration import CalibrationData, read_data
from keras_se.export.frontend.inference_model import InferenceModel

ARGUMENT = "evaluation_data"


@dataclass(frozen=True)
class Evaluation:
    """Inputs by name, samples first, and the class number of each sample."""

    data: CalibrationData
    classes: np.ndarray

    def accuracy(self, outputs: np.ndarray) -> float:
        """Top-1: the share of samples whose largest output is that of their class, from 0 to 1."""
        return float(np.mean(np.asarray(outputs).argmax(-1) == self.classes))

    def accuracy_of(self, model: InferenceModel) -> float:
        """Top-1 of the Keras model itself."""
        flat = keras.Model(model.model.inputs, model.model.outputs)
        columns = [self.data[tensor.name] for tensor in model.inputs]
        return self.accuracy(keras.tree.flatten(flat.predict(columns, verbose=0))[0])


def evaluation_of(model: InferenceModel, data: Any, *, pixels: bool = False) -> Evaluation:
    """Labelled data for a classifier.

    Args:
        model: The classifier: one output, (samples, classes).
        data: `(x, y)`: inputs in the forms of calibration data, and the class number of each sample, shape (samples,)
            or (samples, 1); or the path of an `.npz` file with arrays named `x` and `y`.
        pixels: Whether inputs must be pixels from 0 to 255.

    Raises:
        ValueError: for another model, or data that do not fit it.
    """
    if isinstance(data, Evaluation):
        return data
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 1:
        shapes = [tensor.shape for tensor in model.outputs]
        raise ValueError(f"{ARGUMENT} requires a classifier, with one output (samples, classes). Received: {shapes}")
    given, labels = data if isinstance(data, tuple | list) and len(data) == 2 else (data, None)
    read = read_data(model.inputs, given, ARGUMENT, pixels=pixels)
    labels = read.labels if labels is None else labels
    if labels is None:
        raise ValueError(
            f"{ARGUMENT} must be labelled: (x, y), an .npz file with arrays x and y, or batches of (x, y). "
            f"Received: {type(data).__name__} without labels"
        )
    return Evaluation(read, _classes(labels, read.samples, model.outputs[0].shape[0]))


def _classes(y: Any, samples: int, count: int | None) -> np.ndarray:
    labels = np.asarray(y)
    if labels.shape == (samples, 1):
        labels = labels[:, 0]
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"y of {ARGUMENT} must be the class number of each of the {samples} samples. "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    if labels.min() < 0 or (count is not None and labels.max() >= count):
        raise ValueError(
            f"y of {ARGUMENT} must be from 0 to {(count or 0) - 1}. Received: {labels.min()} to {labels.max()}"
        )
    return labels
