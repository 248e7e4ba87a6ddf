"""Data for a model, as one array for each input."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

# The name of an input, and its shape without the samples; `None` for sizes of any value.
Input = tuple[str, tuple[int | None, ...]]


def columns_of(model: keras.Model, data: Any) -> list[np.ndarray]:
    """Data for a Keras model, in the order of its inputs; a `ValueError` if they do not fit."""
    return arrays_of([(x.name, tuple(x.shape[1:])) for x in model.inputs], data, "data")


def arrays_of(inputs: Sequence[Input], data: Any, argument: str) -> list[np.ndarray]:
    """Data in the order of the inputs, all with the same number of samples; a `ValueError` if they do not fit.

    Args:
        inputs: The names and shapes.
        data: An array for each input, samples first: a list, or a mapping from input name to array. A single input's
            array may be alone.
        argument: How the error names the data.
    """
    names = [name for name, _ in inputs]
    if isinstance(data, Mapping):
        if set(data) != set(names):
            raise ValueError(f"{argument} must have the inputs {names}. Received: {sorted(map(str, data))}")
        columns = [data[name] for name in names]
    elif len(inputs) == 1:
        wrapped = isinstance(data, list | tuple) and len(data) == 1 and rank(data[0]) == len(inputs[0][1]) + 1
        columns = [data[0] if wrapped else data]
    elif isinstance(data, list | tuple) and len(data) == len(inputs):
        columns = list(data)
    else:
        raise ValueError(
            f"{argument} must be one array for each of the inputs {names}. Received: {type(data).__name__}"
        )
    arrays = [_array(one, column, argument) for one, column in zip(inputs, columns, strict=True)]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"{argument} must have the same number of samples, at least one, for every input. "
            f"Received: {sorted(lengths)}"
        )
    return arrays


def rank(values: Any) -> int | None:
    """How many axes values have; `None` for ragged lists."""
    try:
        return np.ndim(values)
    except ValueError:
        return None


def _array(expected: Input, values: Any, argument: str) -> np.ndarray:
    name, shape = expected
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"values of dtype {array.dtype}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{argument} must be numbers for the input {name!r}. Received: {error}") from error
    fits = array.ndim == len(shape) + 1 and all(
        size in (None, actual) for size, actual in zip(shape, array.shape[1:], strict=True)
    )
    if not fits:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{argument} must have the shape (samples, {sizes}) for the input {name!r}. Received: {array.shape}"
        )
    return array
