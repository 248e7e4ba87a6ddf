"""The inputs and outputs of a file: name, shape and dtype; and samples for inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_se.graph.columns import arrays_of
from keras_se.graph.keras_private import producer, readers_of

# Random samples have this size where the model's is unknown.
UNKNOWN_SIZE = 32
# The dtype of a tensor that takes arrays of any dtype.
ANY = ""


@dataclass(frozen=True)
class Tensor:
    """An input or output: its name in files, its shape without the batch (`None` where unknown), its dtype.

    Inputs have more: `scaling` is the scale and offset that the model's first layer applies; `choices` is the number
    of valid integers, from 0 on, as far as it is known; `preprocessing` is the model's statement of how its images are
    prepared.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scaling: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)
    choices: int = field(default=2, compare=False, repr=False)
    preprocessing: Any = field(default=None, compare=False, repr=False)


def random_feeds(inputs: Sequence[Tensor], samples: int) -> dict[str, np.ndarray]:
    """Random samples by input name: normal values for floats; for integers, those of an embedding, or 0 and 1.

    Each sample has its own level and contrast: white noise has the same mean everywhere, so a network that ends in a
    pooling could hardly distinguish samples. A scaling at the input is undone, so that a model that scales pixels gets
    pixels. Unknown sizes are 32.
    """
    rng = np.random.default_rng(0)
    feeds = {}
    for tensor in inputs:
        shape = (samples, *(UNKNOWN_SIZE if size is None else size for size in tensor.shape))
        dtype = np.dtype(tensor.dtype)
        if np.issubdtype(dtype, np.floating) or tensor.scaling is not None:
            each = (samples, *(1 for _ in tensor.shape))
            values: np.ndarray = rng.uniform(0.5, 1.0, each) * rng.standard_normal(shape) + rng.normal(0, 0.25, each)
            scale, offset = tensor.scaling or (1.0, 0.0)
            values = (values - offset) / scale
            if dtype.kind in "iu":
                values = np.clip(np.round(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
        else:
            values = rng.integers(0, tensor.choices, shape)
        feeds[tensor.name] = values.astype(dtype)
    return feeds


def feeds_of(inputs: Sequence[Tensor], batch: Any, argument: str = "batch") -> dict[str, np.ndarray]:
    """Arrays by input name, in the dtypes of the inputs; a `ValueError` for data that do not fit."""
    arrays = arrays_of([(tensor.name, tensor.shape) for tensor in inputs], batch, argument)
    return {tensor.name: _stored(tensor, array, argument) for tensor, array in zip(inputs, arrays, strict=True)}


def _stored(tensor: Tensor, array: np.ndarray, argument: str) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # a value too large for floats becomes infinite: refused later
        stored = np.ascontiguousarray(array, dtype=None if tensor.dtype == ANY else tensor.dtype)
    if stored.dtype.kind in "iub" and not np.array_equal(stored, array):
        boolean = stored.dtype.kind == "b"
        lowest, highest = (0, 1) if boolean else (np.iinfo(stored.dtype).min, np.iinfo(stored.dtype).max)
        raise ValueError(
            f"{argument} must be whole numbers from {lowest} to {highest} for the input {tensor.name!r}, of "
            f"{tensor.dtype}. Received: {array[stored != array].flat[0]}"
        )
    return stored


def tensors_of(names: list[str], tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, tuple(tensor.shape[1:]), str(tensor.dtype)) for name, tensor in zip(names, tensors, strict=True)
    )


def inputs_of(names: list[str], tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(
        replace(spec, scaling=_scaling(tensor), choices=_choices(tensor))
        for spec, tensor in zip(tensors_of(names, tensors), tensors, strict=True)
    )


def _reader(tensor: Any) -> Any:
    """The only layer that reads an input, also in a nested model; `None` if there are several."""
    readers = {node.operation for node in readers_of(producer(tensor))}
    layer: Any = readers.pop() if len(readers) == 1 else None
    nested = isinstance(layer, keras.Model) and len(getattr(layer, "inputs", None) or ()) == 1
    return _reader(layer.inputs[0]) if nested else layer


def _choices(tensor: Any) -> int:
    layer, dtype = _reader(tensor), str(tensor.dtype)
    largest = np.iinfo(dtype).max if "int" in dtype else 1
    return min(layer.input_dim, largest + 1) if isinstance(layer, keras.layers.Embedding) else 2


def _scaling(tensor: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Scale and offset of the only layer that reads an input, if that layer scales it."""
    layer = _reader(tensor)
    if type(layer) is keras.layers.Rescaling:
        scale, offset = np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    elif type(layer) is keras.layers.Normalization and not layer.invert:
        mean, variance = (keras.ops.convert_to_numpy(value) for value in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        offset = -mean * scale
    else:
        return None
    # One number, or one for each channel of the last axis; a scaling of channels first is not reported.
    fits = all(value.size in (1, tensor.shape[-1]) for value in (scale, offset))
    return (scale.reshape(-1), offset.reshape(-1)) if fits and scale.all() else None
