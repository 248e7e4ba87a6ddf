"""The values of intermediate tensors of a functional model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

# Samples per batch: feature maps take memory.
PROBE_BATCH = 8


def probe(model: keras.Model, tensors: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """A function from an array for each input to the values of intermediate tensors, in inference mode."""
    part = keras.Model(model.inputs, list(tensors))
    dtypes = [x.dtype for x in model.inputs]

    def values(columns: Sequence[Any]) -> list[Any]:
        inputs = [keras.ops.convert_to_tensor(x, dtype) for x, dtype in zip(columns, dtypes, strict=True)]
        return keras.tree.flatten(part(inputs, training=False))

    return values


def batches(columns: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The arrays, `PROBE_BATCH` samples at a time."""
    for start in range(0, len(columns[0]), PROBE_BATCH):
        yield [column[start : start + PROBE_BATCH] for column in columns]


def columns_of(model: keras.Model, data: Any) -> list[np.ndarray]:
    """Data as an array for each input of the model, all with the same number of samples."""
    names = [tensor.name for tensor in model.inputs]
    if isinstance(data, Mapping):
        if set(data) != set(names):
            raise ValueError(f"data must have the inputs {names}. Received: {sorted(map(str, data))}")
        data = [data[name] for name in names]
    elif len(names) == 1 and not (isinstance(data, list | tuple) and len(data) == 1):
        data = [data]
    if not isinstance(data, list | tuple) or len(data) != len(names):
        raise ValueError(f"data must be one array for each of the inputs {names}. Received: {type(data).__name__}")
    columns = [np.asarray(column) for column in data]
    for name, x, column in zip(names, model.inputs, columns, strict=True):
        shape = tuple(x.shape[1:])
        fits = column.ndim == len(x.shape) and all(
            size in (None, actual) for size, actual in zip(shape, column.shape[1:], strict=True)
        )
        if not fits or not len(column) or len(column) != len(columns[0]):
            raise ValueError(
                f"data must have the shape (samples, {', '.join(map(str, shape))}) for the input {name!r}, with at "
                f"least one sample, and the same number for each input. Received: shape {column.shape}"
            )
    return columns
