"""Moves the squeeze of an SE block before the 1x1 convolution whose output the block scales, where that is narrower.

    x → conv 1x1 → y → SqueezeExcite(y)        becomes        x → conv 1x1 → y → SqueezeExciteBefore(x, y)

    mean(W x + b) = W mean(x) + b        the mean is linear, and so is the convolution
    W1 (W m + b) + b1 = (W1 W) m + (W1 b + b1)

In a ResNet bottleneck the squeeze then reads a quarter of the channels, and the first projection, which absorbs the
convolution, shrinks as much. The new weights are computed in float64.
"""

from typing import Any

import keras
import numpy as np

from keras_se.graph.copy_layers import remade
from keras_se.graph.rewrite import GraphEdits, Weights
from keras_se.layers import SqueezeExcite


def sink_squeeze(graph: GraphEdits) -> None:
    """Computes gates from the input of the 1x1 convolution whose output they scale, where that is narrower. Exact."""
    once = graph.called_once()
    for block in once:
        if type(block) is not SqueezeExcite:  # a subclass may compute something else
            continue
        inputs = graph.calls(block)[0].input_tensors
        conv = graph.producer(inputs[0])
        if len(inputs) > 1 or not _movable(conv, block) or not any(conv is layer for layer in once):
            continue  # the second input is a mask: the mean is not over all positions
        kernel, *bias = graph.weights(conv)
        if kernel.shape[-2] < conv.filters:  # the cost of the squeeze and of the first projection grows with channels
            weights = _merged_weights(kernel, bias, graph.weights(block), block.use_bias)
            width = block.reduce_kernel.shape[-1]
            new = remade(block, SqueezeExciteBefore, bottleneck=width, use_bias=True)
            graph.replace(block, new, weights, beside=conv)


def _movable(conv: Any, block: Any) -> bool:
    return bool(
        block.squeeze == "avg"
        and type(conv) is keras.layers.Conv2D
        and conv.data_format == block.data_format == "channels_last"
        and conv.kernel_size == conv.strides == (1, 1)  # strides skip positions; a larger kernel sees the padding
        and conv.groups == 1
        and conv.activation is keras.activations.linear
        and not getattr(conv, "lora_enabled", False)
        and conv.compute_dtype == block.compute_dtype
        and len(block.weights) == (4 if block.use_bias else 2)  # no activation with weights of its own
    )


def _merged_weights(kernel: np.ndarray, bias: Weights, block: Weights, use_bias: bool) -> Weights:
    reduce, expand = block[::2] if use_bias else block
    reduce_bias, expand_bias = block[1::2] if use_bias else (np.zeros(reduce.shape[1]), np.zeros(expand.shape[1]))
    if bias:
        reduce_bias = bias[0] @ reduce + reduce_bias
    return [kernel[0, 0] @ reduce, reduce_bias, expand, expand_bias]


class SqueezeExciteBefore(SqueezeExcite):
    """Scales the channels of one map by gates that are computed from another map of the same positions.

    Its inputs are the map that is squeezed and the map that is scaled.
    """

    def build(self, input_shape: Any) -> None:
        squeezed, scaled = input_shape
        width = self.width(scaled[-1])
        self.reduce_kernel, self.reduce_bias = self.add_projection("reduce", squeezed[-1], width)
        self.expand_kernel, self.expand_bias = self.add_projection("expand", width, scaled[-1])
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        squeezed, scaled = inputs
        return keras.ops.multiply(scaled, self._gates(squeezed, None))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[1])
