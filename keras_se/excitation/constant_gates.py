"""Finds SE blocks whose gates do not depend on the data."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se.graph.activations import inner_values
from keras_se.graph.rewrite import called_once, calls
from keras_se.layers import ConcurrentSqueezeExcite, SqueezeExcite


def constant_gates(
    model: keras.Model, columns: Sequence[np.ndarray], tolerance: float
) -> dict[str, tuple[Any, np.ndarray]]:
    """The SE layers whose channel gates vary by less than `tolerance`, by name, with the middle of each gate's range.

    Only layers that are called once are considered, and none in models inside the model.

    Args:
        model: The model.
        columns: Data, an array for each of the model's inputs.
        tolerance: The largest range of a gate over all samples.
    """
    # An SE layer with a mask has two inputs. It is left out: its gates may vary with other masks.
    called = [
        (layer, calls(layer, model)[0].input_tensors)
        for layer in called_once(model)
        if isinstance(layer, SqueezeExcite | ConcurrentSqueezeExcite)
    ]
    blocks, inputs = [layer for layer, x in called if len(x) == 1], [x[0] for _, x in called if len(x) == 1]
    if not blocks:
        return {}
    lowest: list[Any] = [np.inf] * len(blocks)
    highest: list[Any] = [-np.inf] * len(blocks)
    for maps in inner_values(model, inputs, columns):
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
