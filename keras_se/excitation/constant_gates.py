"""Finds SE blocks whose gates do not depend on the data."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se.graph.activations import batch_values
from keras_se.graph.walk import nodes_of
from keras_se.layers import ConcurrentSqueezeExcite, SqueezeExcite


def constant_gates(
    model: keras.Model, columns: Sequence[np.ndarray], tolerance: float
) -> dict[str, tuple[Any, np.ndarray]]:
    """SE layers whose channel gates hardly depend on the data, by name, with these gates: the middles of their ranges.

    Considered are layers that are called once; not those of nested models.

    Args:
        model: The model.
        columns: Data, an array for each of the model's inputs.
        tolerance: The largest range of a constant gate over all samples.
    """
    # With a mask, an SE layer has two inputs: for other masks its gates could be others.
    called = [
        (layer, found[0].input_tensors)
        for layer in model.layers
        if isinstance(layer, SqueezeExcite | ConcurrentSqueezeExcite) and len(found := nodes_of(layer, model)) == 1
    ]
    blocks, inputs = [layer for layer, x in called if len(x) == 1], [x[0] for _, x in called if len(x) == 1]
    if not blocks:
        return {}
    lowest: list[Any] = [np.inf] * len(blocks)
    highest: list[Any] = [-np.inf] * len(blocks)
    for maps in batch_values(model, inputs, columns):
        for i, (layer, x) in enumerate(zip(blocks, maps, strict=True)):
            gates = keras.ops.convert_to_numpy(layer.excitation(x))
            lowest[i] = np.minimum(lowest[i], gates.min(axis=0))
            highest[i] = np.maximum(highest[i], gates.max(axis=0))
        if all(np.max(high - low) >= tolerance for low, high in zip(lowest, highest, strict=True)):
            return {}  # more samples can only widen the ranges
    return {
        layer.name: (layer, (low + high) / 2)
        for layer, low, high in zip(blocks, lowest, highest, strict=True)
        if np.max(high - low) < tolerance
    }
