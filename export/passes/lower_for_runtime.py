"""Exact rewrites of what runtimes have no kernel for, or their delegates none."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_se.export.passes._common import copying
from keras_se.graph.rewrite import called_once, calls, nested, read_once, replaced, substituted

# The largest window that becomes a convolution: its kernel is stored for each channel.
LARGEST_WINDOW = 9
POOLINGS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


def stride_by_convolution(model: keras.Model) -> keras.Model:
    """Replaces each pooling of single values, which takes every second one or so, by a depthwise convolution with ones.

    Exact. LiteRT's delegate refuses the pooling, which would cut the network in two. Returns the model itself if there
    is nothing to replace.
    """
    return _by_convolutions(model, lambda layer: type(layer) in POOLINGS and layer.pool_size == (1, 1))


def average_by_convolution(model: keras.Model) -> keras.Model:
    """Replaces each average pooling of a small window, without padding, by a depthwise convolution of constants.

    Exact. LiteRT's delegate has no average pooling in 8 bits. Returns the model itself if there is nothing to replace.
    """

    def small(layer: Any) -> bool:
        average = type(layer) is keras.layers.AveragePooling2D and layer.padding == "valid"
        return average and math.prod(layer.pool_size) <= LARGEST_WINDOW

    return _by_convolutions(model, small)


def spell_out_hard_swish(model: keras.Model) -> keras.Model:
    """Replaces each hard swish that is a layer by the sum and products that it is: x · (clip(x / 3, −1, 1) + 1) / 2.

    Exact. Of the operation itself LiteRT has no kernel in 16 bits, its delegate none in 8 bits, and ONNX's quantizer
    rounds more. Returns the model itself if there is nothing to replace.
    """

    def spelled_out(layer: Any) -> Any:
        hard_swish = type(layer) is keras.layers.Activation and layer.activation is keras.activations.hard_silu
        return _HardSwish(dtype=layer.dtype_policy.name, name=layer.name) if hard_swish else None

    return replaced(model, spelled_out)


def relu_before_concatenation(model: keras.Model) -> keras.Model:
    """Moves each ReLU that alone reads a concatenation onto what is concatenated, whose operations take it up.

    Exact. LiteRT's delegate has no ReLU by itself in 8 bits. Returns the model itself if there is nothing to move.
    """
    pairs = {}
    for relu in filter(_is_relu, called_once(model)):
        before = calls(relu, model)[0].input_tensors[0]._keras_history.operation
        if type(before) is keras.layers.Concatenate and read_once(before, model):
            pairs[relu.name] = before
    replacements = nested(model, relu_before_concatenation)
    for x in pairs.values():
        with copying(x):
            replacements[x.name] = _ConcatenateRelu.from_config(x.get_config())
    return substituted(model, replacements, dropped=set(pairs)) if replacements else model


# What LiteRT's delegate wants in 8 bits, so that the whole network is one piece.
FOR_INT8 = (spell_out_hard_swish, relu_before_concatenation, average_by_convolution)


def _by_convolutions(model: keras.Model, chosen: Callable[[Any], bool]) -> keras.Model:
    made: list[tuple[Any, float]] = []

    def by_convolution(pooling: Any) -> Any:
        if not chosen(pooling) or pooling.data_format != "channels_last" or len(set(pooling.strides)) != 1:
            return None
        options = {"strides": pooling.strides, "use_bias": False, "dtype": pooling.dtype_policy, "name": pooling.name}
        convolution = keras.layers.DepthwiseConv2D(pooling.pool_size, **options)
        made.append((convolution, 1 / math.prod(pooling.pool_size)))
        return convolution

    result = replaced(model, by_convolution)
    for convolution, value in made:  # not by Keras' initializer, which rounds to float32 in any precision
        convolution.set_weights([np.full(convolution.kernel.shape, value)])
    return result


def _is_relu(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.relu
    plain = {"max_value": None, "negative_slope": 0, "threshold": 0}
    return type(layer) is keras.layers.ReLU and all(layer.get_config()[key] == value for key, value in plain.items())


class _ConcatenateRelu(keras.layers.Concatenate):
    """What a ReLU of the concatenation is, too."""

    def call(self, inputs: Any) -> Any:
        return super().call([keras.ops.relu(x) for x in inputs])


class _HardSwish(keras.layers.Layer):
    """Hard swish in a form that TensorFlow's converter does not recognise, to make one operation of it."""

    def call(self, inputs: Any) -> Any:
        gate = 0.5 * keras.ops.clip(inputs * (1 / 3), -1.0, 1.0) + 0.5
        return inputs * gate
