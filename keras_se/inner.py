"""The values of tensors inside a functional model."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

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
