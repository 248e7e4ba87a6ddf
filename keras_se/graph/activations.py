"""The values of tensors inside a functional model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_se.graph.rewrite import called_once, calls

# Samples at a time: the feature maps of many would fill the memory.
PROBE_BATCH = 8


def probe(model: keras.Model, tensors: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """A function from the model's inputs, an array for each, to the values of tensors inside it, in inference mode."""
    part = keras.Model(model.inputs, list(tensors))
    dtypes = [x.dtype for x in model.inputs]

    def values(columns: Sequence[Any]) -> list[Any]:
        inputs = [keras.ops.convert_to_tensor(x, dtype) for x, dtype in zip(columns, dtypes, strict=True)]
        return keras.tree.flatten(part(inputs, training=False))

    return values


def inner_values(model: keras.Model, tensors: Sequence[Any], columns: Sequence[np.ndarray]) -> Iterator[list[Any]]:
    """The values of tensors inside a model, a few samples at a time.

    Args:
        model: A functional or Sequential model.
        tensors: Symbolic tensors of its graph.
        columns: An array for each of its inputs, samples first.
    """
    values = probe(model, tensors)
    for start in range(0, len(columns[0]), PROBE_BATCH):
        yield values([column[start : start + PROBE_BATCH] for column in columns])


def values_within(model: keras.Model, inner: keras.Model, columns: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """What a model within a model is given, an array for each of its inputs.

    `None` if it is called more than once, or is given a mask, too: what is inside gets that, and its graph has it not.
    """
    given = calls(inner, model)[0].input_tensors
    if inner not in called_once(model) or masks_of(inner, given):
        return None
    parts = zip(*inner_values(model, given, columns), strict=True)
    return [np.concatenate([keras.ops.convert_to_numpy(value) for value in part]) for part in parts]


def masks_of(inner: keras.Model, given: Sequence[Any]) -> Sequence[Any]:
    """Those of the tensors that a model within is called with that are no inputs of it."""
    return given[len(inner.inputs) :]


def columns_of(model: keras.Model, data: Any) -> list[np.ndarray]:
    """An array for each input of the model, of as many samples."""
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
    for name, own, column in zip(names, model.inputs, columns, strict=True):
        shape = tuple(own.shape[1:])
        fits = column.ndim == len(own.shape) and all(
            size in (None, actual) for size, actual in zip(shape, column.shape[1:], strict=True)
        )
        if not fits or not len(column) or len(column) != len(columns[0]):
            raise ValueError(
                f"data must have the shape (samples, {', '.join(map(str, shape))}) for the input {name!r}, at least "
                f"one sample, and as many for each input. Received: shape {column.shape}"
            )
    return columns
