"""The values of intermediate tensors of a functional model."""

from collections.abc import Callable, Iterator, Sequence
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
