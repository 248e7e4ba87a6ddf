"""Samples for a model, from data of every kind: read and checked once, and shared by calibration and verification."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import signature
from typing import Any

import numpy as np

from keras_se.export.data.array_files import read_arrays
from keras_se.export.data.image_folder import Images
from keras_se.export.data.preprocessing import check_pixels
from keras_se.export.frontend.tensor_spec import ANY, Tensor, feeds_of
from keras_se.graph.columns import rank


class CalibrationData(dict[str, np.ndarray]):
    """Arrays by input name, samples first, checked when they were read.

    Attributes:
        labels: The labels that came with the inputs, samples first, or `None`.
        classes: The number of samples of each class, if images came in a folder for each class.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], labels: Any = None, classes: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(arrays)
        self.labels = labels
        self.classes = dict(classes or {})

    @property
    def samples(self) -> int:
        return len(next(iter(self.values())))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The number of samples, the range of each input, and the number of samples of each class."""
        ranges = {
            name: {"min": float(x.min()), "max": float(x.max()), "mean": float(np.mean(x, dtype="float64"))}
            for name, x in self.items()
        }
        return {"samples": self.samples, "inputs": ranges, "classes": self.classes}

    @cached_property
    def sha256(self) -> str:
        """The hash of the arrays with their names, in the order of the names."""
        digest = hashlib.sha256()
        for name in sorted(self):
            digest.update(f"{name} {self[name].dtype.str} {self[name].shape}".encode())
            digest.update(np.ascontiguousarray(self[name]).data)
        return digest.hexdigest()

    def first(self, samples: int) -> "CalibrationData":
        labels = None if self.labels is None else self.labels[:samples]
        return CalibrationData({name: x[:samples] for name, x in self.items()}, labels, self.classes)

    def of(self, inputs: Sequence[Tensor]) -> "CalibrationData":
        """The same samples in the types of these inputs."""
        if all(self[tensor.name].dtype == tensor.dtype for tensor in inputs):
            return self  # with its hash and summary, if they were computed
        arrays = {tensor.name: self[tensor.name].astype(tensor.dtype, copy=False) for tensor in inputs}
        return CalibrationData(arrays, self.labels, self.classes)

    def map(self, function: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]) -> "CalibrationData":
        """The arrays that a function makes of these, with the same labels."""
        return CalibrationData(function(self), self.labels, self.classes)


def read_data(
    inputs: Sequence[Tensor], data: Any, argument: str = "calibration_data", *, pixels: bool = False
) -> CalibrationData:
    """Reads data of any kind for the inputs of a model.

    Args:
        inputs: The model's inputs.
        data: One of
            - an array of shape (samples, *input shape); for several inputs, a list of arrays in the model's order,
              or a mapping from input name to array; also a tuple `(x, y)` of such inputs and labels;
            - the path of an `.npy` file with such an array, or of an `.npz` file with one array for each input, or with
              `x` and `y`;
            - the path of a folder of images, or `keras_se.export.Images`, which has options, for a model of one input;
            - an iterable (a generator, a `tf.data.Dataset`) of batches of that kind, with or without labels, or a
              function without arguments that returns one (TensorFlow's `representative_dataset`). It is read to its
              end;
            - `CalibrationData` for the same inputs, which were checked before.
        argument: The name of the argument, for errors.
        pixels: Whether the data must be pixels from 0 to 255, since preprocessing is part of the file. They are rounded
            to whole numbers.

    Raises:
        ValueError: if the data are missing, empty, unreadable, of the wrong shape, or not finite.
    """
    if isinstance(data, CalibrationData):
        return data.of(inputs)
    if pixels:  # checked before rounding, which would hide that images are already prepared
        given = _read([replace(tensor, dtype=ANY) for tensor in inputs], data, argument)
        check_pixels(given, argument)
        # Resized images have fractional values, which a uint8 input cannot take.
        whole = {name: np.round(column) for name, column in given.items()}
        return CalibrationData(feeds_of(inputs, whole, argument), given.labels, given.classes)
    return _read(inputs, data, argument)


def _read(inputs: Sequence[Tensor], data: Any, argument: str) -> CalibrationData:
    if data is None:
        raise ValueError(
            f"{argument} must be given: about 100 typical inputs, prepared as for training, as an array (samples, "
            "height, width, channels), an .npy or .npz file, an iterable of batches, or a folder of images "
            "(--calibration). Received: None"
        )
    names = [tensor.name for tensor in inputs]
    classes: Mapping[str, int] = {}
    labels = None
    if callable(data) and not isinstance(data, Iterable):
        data = _called(data, argument)
    if isinstance(data, str | os.PathLike) and os.path.isdir(data):
        data = Images(data)
    if isinstance(data, Images):
        if len(inputs) != 1:
            raise ValueError(f"A folder of images requires a model with one input. Received: {argument} for {names}")
        data, classes = data.load(inputs[0], argument)
    elif isinstance(data, str | os.PathLike):
        data, labels = _from_file(read_arrays(data, argument), names)
    elif _is_labelled(data, inputs):
        data, labels = data[0], _joined([data[1]])
    elif not isinstance(data, np.ndarray | list | tuple | Mapping) and not hasattr(data, "__array__"):
        data, labels = _from_batches(inputs, data, argument)
    feeds = feeds_of(inputs, data, argument)
    for name, column in feeds.items():
        if not np.isfinite(column).all():
            raise ValueError(f"{argument} must be finite. Received: NaN or infinity for the input {name!r}")
    return CalibrationData(feeds, labels, classes)


def _from_file(arrays: np.ndarray | dict[str, np.ndarray], names: list[str]) -> tuple[Any, Any]:
    if isinstance(arrays, np.ndarray) or set(arrays) == set(names):
        return arrays, None
    if len(names) == 1 and set(arrays) == {"x", "y"}:
        return arrays["x"], arrays["y"]
    return (next(iter(arrays.values())) if len(names) == len(arrays) == 1 else arrays), None


def _called(function: Callable[[], Any], argument: str) -> Any:
    """What a `representative_dataset` returns."""
    try:
        signature(function).bind()
    except ValueError:  # a built-in function, whose arguments are unknown
        pass
    except TypeError as error:
        raise ValueError(
            f"{argument} must be data, or a function without arguments that returns data. Received: {function!r} "
            f"({error})"
        ) from error
    return function()


def _is_labelled(data: Any, inputs: Sequence[Tensor]) -> bool:
    """Whether the data are `(x, y)`: a tuple of two whose first entry has samples for all inputs."""
    return isinstance(data, tuple) and len(data) == 2 and _are_inputs(data[0], inputs)


def _are_inputs(x: Any, inputs: Sequence[Tensor]) -> bool:
    """Whether `x` has samples for all inputs: a mapping, a list of columns, or the only column."""
    axes = len(inputs[0].shape) + 1
    if isinstance(x, list | tuple) and len(x) == len(inputs) and rank(x[0]) == axes:
        return True
    return isinstance(x, Mapping) or (len(inputs) == 1 and rank(x) == axes)


def _joined(labels: Sequence[Any]) -> np.ndarray | None:
    """The labels of batches in one array; `None` for those that fit in none, like boxes of varying number."""
    try:
        return np.concatenate([np.asarray(one) for one in labels])
    except (TypeError, ValueError):
        return None


def _from_batches(inputs: Sequence[Tensor], batches: Any, argument: str) -> tuple[dict[str, np.ndarray], Any]:
    if not isinstance(batches, Iterable):
        raise ValueError(
            f"{argument} must be an array, a list or mapping of arrays, an .npy or .npz file, a folder of images, or "
            f"an iterable of batches. Received: {type(batches).__name__}"
        )
    feeds, labels = [], []
    for batch in batches:
        # Data sets yield (x, y) or (x, y, weights); for several inputs, x is itself a list or a mapping.
        labelled = isinstance(batch, tuple) and len(batch) in (2, 3)
        labelled = labelled and (len(inputs) == 1 or _are_inputs(batch[0], inputs))
        x = batch[0] if labelled else batch
        feeds.append(feeds_of(inputs, _numpy(x), argument))
        if labelled:
            labels.append(batch[1])
    if not feeds:
        raise ValueError(f"{argument} must have at least one batch. Received: an iterable of none")
    joined = {tensor.name: np.concatenate([feed[tensor.name] for feed in feeds]) for tensor in inputs}
    return joined, _joined(labels) if len(labels) == len(feeds) else None


def _numpy(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return {name: np.asarray(column) for name, column in batch.items()}
    return [np.asarray(column) for column in batch] if isinstance(batch, list | tuple) else np.asarray(batch)


def calibration_sentence(summary: Mapping[str, Any]) -> str:
    """The summary of calibration data for people."""
    ranges = ", ".join(
        f"{name} from {values['min']:.3g} to {values['max']:.3g}" for name, values in summary["inputs"].items()
    )
    text = f"Calibrated on {summary['samples']} samples: {ranges}"
    if counts := list(summary["classes"].values()):
        text += f"; {len(counts)} classes of {min(counts)} to {max(counts)} samples"
    return f"{text}."
