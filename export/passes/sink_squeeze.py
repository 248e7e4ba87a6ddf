"""The squeeze, moved through the convolution before it."""

from typing import Any

import keras
import numpy as np

from keras_se.export.passes._common import copying, in_float64
from keras_se.graph.rewrite import bare_config, called_once, calls, nested, substituted
from keras_se.layers import SqueezeExcite


def squeeze_before_convolution(model: keras.Model) -> keras.Model:
    """Computes gates from the input of the 1x1 convolution whose output they scale, where that is narrower.

        mean(W x + b) = W mean(x) + b        the mean is linear, and so is the convolution
        W1 (W m + b) + b1 = (W1 W) m + (W1 b + b1)

    So the squeeze reads a quarter in a bottleneck of ResNet, and the first projection shrinks as much: it takes the
    convolution up. Exact: the new weights are computed in float64. Batch norms must have been folded before. Returns
    the model itself if there is nothing to move.
    """
    pairs = {block.name: (conv, block) for block in called_once(model) if (conv := _convolution_before(block, model))}
    replacements = nested(model, squeeze_before_convolution)
    if not pairs and not replacements:
        return model
    replacements.update({name: _with_weights_to_come(block) for name, (_, block) in pairs.items()})
    readers = {name: conv.name for name, (conv, _) in pairs.items()}
    result = substituted(model, replacements, dropped=set(), beside_inputs_of=readers)
    for name, (conv, block) in pairs.items():
        replacements[name].set_weights(_merged_weights(conv, block))
    return result


def _convolution_before(block: Any, model: keras.Model) -> Any:
    if type(block) is not SqueezeExcite:  # a subclass may compute something else
        return None
    inputs = calls(block, model)[0].input_tensors
    conv = inputs[0]._keras_history.operation
    movable = (
        len(inputs) == 1  # with a mask there are two, and the mean is not over all positions
        and block.squeeze == "avg"
        and type(conv) is keras.layers.Conv2D
        and conv.data_format == block.data_format == "channels_last"
        and conv.kernel_size == conv.strides == (1, 1)  # a stride leaves out positions, a larger kernel sees the border
        and conv.groups == 1
        and conv.activation is keras.activations.linear
        and not getattr(conv, "lora_enabled", False)
        and conv in called_once(model)
        and conv.compute_dtype == block.compute_dtype
        and len(block.weights) == (4 if block.use_bias else 2)  # no activation with weights of its own
    )
    # What is read for the mean, and stored for the first projection, is proportional to the channels.
    return conv if movable and conv.kernel.shape[-2] < conv.filters else None


def _with_weights_to_come(block: Any) -> Any:
    width = block.reduce_kernel.shape[-1]
    with copying(block):  # a gate or an activation may be a function that nothing finds by its name
        return SqueezeExciteBefore.from_config({**bare_config(block), "bottleneck": width, "use_bias": True})


def _merged_weights(conv: Any, block: Any) -> list[np.ndarray]:
    reduce, expand = in_float64(block.reduce_kernel), in_float64(block.expand_kernel)
    reduce_bias, expand_bias = np.zeros(reduce.shape[1]), np.zeros(expand.shape[1])
    if block.use_bias:
        reduce_bias, expand_bias = in_float64(block.reduce_bias), in_float64(block.expand_bias)
    if conv.use_bias:
        reduce_bias = in_float64(conv.bias) @ reduce + reduce_bias
    return [in_float64(conv.kernel)[0, 0] @ reduce, reduce_bias, expand, expand_bias]


class SqueezeExciteBefore(SqueezeExcite):
    """Rescales the channels of a map by gates that are computed from another one, of the same positions.

    Its inputs are the two: what is squeezed, and what is scaled.
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
