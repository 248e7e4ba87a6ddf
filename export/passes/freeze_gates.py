"""SE blocks whose gates are constant, made constants."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se.excitation.constant_gates import constant_gates
from keras_se.graph.activations import values_within
from keras_se.graph.rewrite import copy_weights, substituted
from keras_se.graph.walk import has_graph
from keras_se.layers import ChannelScale, ConcurrentSqueezeExcite

# Gates that vary by less than this over the calibration data are constants to a quantized file: the step of an
# int8 gate is 1/256.
CONSTANT_GATE = 1e-4


def freeze_constant_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> tuple[keras.Model, list[str]]:
    """Replaces SE blocks whose gates do not depend on the calibration data by the constants that their gates are.

    A narrow excitation can be dead: its hidden units are never positive, so the gates are always those of the bias.
    A quantizer would give such a hidden layer a range of nothing, with which LiteRT's delegate refuses to run. To
    a quantized file, which clips to the ranges that it was calibrated for, such gates are constants anyway.

    Args:
        model: The model.
        columns: The calibration data, an array for each of the model's inputs.

    Returns:
        The new model (the same if no gate is constant) and the names of the layers that were replaced.
    """
    replacements: dict[str, keras.layers.Layer] = {}
    frozen: list[str] = []
    for nested in filter(has_graph, model.layers):
        inside = values_within(model, nested, columns)
        new, names = (nested, []) if inside is None else freeze_constant_gates(nested, inside)
        if names:
            replacements[nested.name] = new
            frozen += names
    constants = constant_gates(model, columns, CONSTANT_GATE)
    scales = {name: _with_constant_gates(layer) for name, (layer, _) in constants.items()}
    if not replacements and not scales:
        return model, []
    result = substituted(model, {**replacements, **scales}, dropped=set())
    for name, (layer, gates) in constants.items():
        if isinstance(layer, ConcurrentSqueezeExcite):
            scales[name].channel.set_weights([gates])
            copy_weights(layer.spatial, scales[name].spatial)
        else:
            scales[name].set_weights([gates])
    return result, frozen + list(scales)


def _with_constant_gates(layer: Any) -> Any:
    """A layer to take the place of an SE layer, whose channel gates are weights."""
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return ChannelScale(data_format=layer.data_format, name=layer.name)
    copy = type(layer).from_config(layer.get_config())
    del copy.channel
    copy.channel = ChannelScale(data_format=layer.channel.data_format, name="channel")
    return copy
