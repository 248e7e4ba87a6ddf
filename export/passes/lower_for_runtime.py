"""Replaces operations that a runtime has no kernel for, or that LiteRT's delegate does not run.

    stride_by_convolution        MaxPooling2D(1, strides=2)        →  DepthwiseConv2D(1, strides=2) of ones
    average_by_convolution       AveragePooling2D(2)               →  DepthwiseConv2D(2, strides=2) of 1/4
    spell_out_hard_swish         hard_silu(x)                      →  x · (clip(x / 3, −1, 1) + 1) / 2
    relu_before_concatenation    relu(concatenate(x, y))           →  concatenate(relu(x), relu(y))

An operation that the delegate does not run cuts the network into pieces.
"""

import math
from typing import Any

import keras
import numpy as np

from keras_se.graph.copy_layers import remade
from keras_se.graph.rewrite import GraphEdits

# The largest window that becomes a convolution: its kernel is stored for each channel.
LARGEST_WINDOW = 9
POOLINGS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


def stride_by_convolution(graph: GraphEdits) -> None:
    """Replaces poolings of single values, which only stride, by depthwise convolutions with ones.

    Exact. LiteRT's delegate refuses such a pooling.
    """
    for layer in graph.called_once():
        if type(layer) in POOLINGS and layer.pool_size == (1, 1):
            _convolve(layer, graph)


def average_by_convolution(graph: GraphEdits) -> None:
    """Replaces average poolings of small windows without padding by depthwise convolutions of constants.

    Exact. LiteRT's delegate has no average pooling in 8 bits.
    """
    for layer in graph.called_once():
        average = type(layer) is keras.layers.AveragePooling2D and layer.padding == "valid"
        if average and math.prod(layer.pool_size) <= LARGEST_WINDOW:
            _convolve(layer, graph)


def _convolve(pooling: Any, graph: GraphEdits) -> None:
    (x,) = graph.calls(pooling)[0].input_tensors
    if pooling.data_format == "channels_last" and len(set(pooling.strides)) == 1:
        options = {"strides": pooling.strides, "use_bias": False, "dtype": pooling.dtype_policy, "name": pooling.name}
        kernel = np.full((*pooling.pool_size, x.shape[-1], 1), 1 / math.prod(pooling.pool_size))
        graph.replace(pooling, keras.layers.DepthwiseConv2D(pooling.pool_size, **options), [kernel])


def spell_out_hard_swish(graph: GraphEdits) -> None:
    """Replaces each hard swish that is a layer by the products and the sum that it consists of.

    Exact. LiteRT has no 16-bit kernel of the operation, its delegate no 8-bit one, and ONNX's quantizer rounds it more.
    """
    for layer in graph.called_once():
        if type(layer) is keras.layers.Activation and layer.activation is keras.activations.hard_silu:
            graph.replace(layer, _HardSwish(dtype=layer.dtype_policy.name, name=layer.name))


def relu_before_concatenation(graph: GraphEdits) -> None:
    """Moves each ReLU that alone reads a concatenation to the inputs of it, whose operations fuse with the ReLU.

    Exact. LiteRT's delegate has no ReLU by itself in 8 bits.
    """
    for relu in filter(_is_relu, graph.called_once()):
        concatenation = graph.producer(graph.calls(relu)[0].input_tensors[0])
        if type(concatenation) is keras.layers.Concatenate and graph.only_reader(concatenation) is relu:
            graph.replace(concatenation, remade(concatenation, _ConcatenateRelu))
            graph.drop(relu)


def _is_relu(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return layer.activation is keras.activations.relu
    plain = {"max_value": None, "negative_slope": 0, "threshold": 0}
    return type(layer) is keras.layers.ReLU and all(layer.get_config()[key] == value for key, value in plain.items())


class _ConcatenateRelu(keras.layers.Concatenate):
    """Concatenates the ReLUs of its inputs."""

    def call(self, inputs: Any) -> Any:
        return super().call([keras.ops.relu(x) for x in inputs])


class _HardSwish(keras.layers.Layer):
    """Hard swish in a form that TensorFlow's converter does not recognise and fuse."""

    def call(self, inputs: Any) -> Any:
        gate = 0.5 * keras.ops.clip(inputs * (1 / 3), -1.0, 1.0) + 0.5
        return inputs * gate
