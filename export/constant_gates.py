"""SE blocks whose gates are constant, made constants."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se.inner import inner_values
from keras_se.layers import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.rewrite import called_once, calls, copy_weights, has_graph, substituted

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
    for nested in (layer for layer in called_once(model) if has_graph(layer)):
        inner = list(inner_values(model, list(calls(nested, model)[0].input_tensors), columns))
        new, names = freeze_constant_gates(nested, [np.concatenate(column) for column in zip(*inner, strict=True)])
        if names:
            replacements[nested.name] = new
            frozen += names
    constants = _constant_gates(model, columns)
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


def _constant_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> dict[str, tuple[Any, np.ndarray]]:
    # An SE layer that gets a mask has two inputs: its gates need not be constant for other masks.
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
        if all(np.max(high - low) >= CONSTANT_GATE for low, high in zip(lowest, highest, strict=True)):
            return {}  # more samples make ranges wider only
    return {
        layer.name: (layer, (low + high) / 2)
        for layer, low, high in zip(blocks, lowest, highest, strict=True)
        if np.max(high - low) < CONSTANT_GATE
    }


def _with_constant_gates(layer: Any) -> Any:
    """A layer to take the place of an SE layer, whose channel gates are weights."""
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return _Scale(layer.data_format, name=layer.name)
    copy = type(layer).from_config(layer.get_config())
    del copy.channel
    copy.channel = _Scale(layer.channel.data_format, name="channel")
    return copy


class _Scale(keras.layers.Layer):
    """Multiplies each channel by a constant."""

    def __init__(self, data_format: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape: tuple) -> None:
        self.axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        self.scale = self.add_weight(shape=(input_shape[self.axis],), name="scale")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return keras.ops.multiply(inputs, keras.ops.reshape(self.scale, shape))
