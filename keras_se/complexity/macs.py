"""Counts the multiply-accumulates of a layer's call."""

import math
from collections.abc import Callable
from typing import Any

from keras import layers

from keras_se.graph.walk import Call, Shape
from keras_se.layers import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite

Counter = Callable[[Any, Call], int]
# Products of two tensors without weights: layers, and operations of `keras.ops`, whose classes have no public names.
PRODUCTS = {
    *("Matmul", "Dot", "Vdot", "Inner", "Outer", "Kron", "Tensordot", "Einsum", "Correlate"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "DotProductAttention", "Attention"),
}


def count_macs(call: Call) -> int | None:
    """The multiply-accumulates of a call for one sample; `None` for an unknown layer or an unknown size."""
    if any(None in shape for shape in call.inputs + call.outputs):
        return None
    count = next((count for classes, count in COUNTERS.items() if isinstance(call.layer, classes)), None)
    return None if count is None else count(call.layer, call)


def _positions(shape: Shape, layer: Any) -> int:
    """The number of positions in a feature map."""
    # The batch is 1, unless an earlier operation moved other axes there.
    return shape[0] * math.prod(shape[2:] if layer.data_format == "channels_first" else shape[1:-1])


def _weights_at(positions: int, *kernels: Any) -> int:
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def _of_channel_gates(layer: Any, shape: Shape) -> int:
    return _weights_at(shape[0], layer.reduce_kernel, layer.expand_kernel) + math.prod(shape)


def _of_spatial_gates(layer: Any, shape: Shape) -> int:
    return _weights_at(_positions(shape, layer), layer.kernel) + math.prod(shape)


# The first row whose classes a layer is an instance of counts it.
COUNTERS: dict[tuple[type, ...], Counter] = {
    (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D): (
        lambda layer, call: _weights_at(_positions(call.outputs[0], layer), layer.kernel)
    ),
    (layers.SeparableConv1D, layers.SeparableConv2D): (
        lambda layer, call: _weights_at(
            _positions(call.outputs[0], layer), layer.depthwise_kernel, layer.pointwise_kernel
        )
    ),
    (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose): (
        lambda layer, call: _weights_at(_positions(call.inputs[0], layer), layer.kernel)
    ),
    (layers.Dense,): lambda layer, call: _weights_at(math.prod(call.inputs[0][:-1]), layer.kernel),
    (layers.BatchNormalization, layers.LayerNormalization, layers.PReLU, layers.Embedding): lambda layer, call: 0,
    (SqueezeExcite,): lambda layer, call: _of_channel_gates(layer, call.inputs[0]),
    (SpatialSqueezeExcite,): lambda layer, call: _of_spatial_gates(layer, call.inputs[0]),
    (ConcurrentSqueezeExcite,): (
        lambda layer, call: (
            _of_channel_gates(layer.channel, call.inputs[0]) + _of_spatial_gates(layer.spatial, call.inputs[0])
        )
    ),
}
