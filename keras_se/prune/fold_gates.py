"""A constant for each channel, folded into the weights of a layer beside it."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_se.graph.layer_predicates import DROPOUTS
from keras_se.graph.rewrite import calls, read_once

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
# What a constant for each channel can be moved through.
CHANNELWISE = (
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D, *DROPOUTS[:4]),
)


def fold(model: keras.Model, block: Any, gates: np.ndarray, weights: dict[str, list[np.ndarray]]) -> str | None:
    """Multiplies the weights of a neighbour of a block, which is called once, by the block's constant gates.

    Args:
        model: That the block is in.
        block: An SE layer.
        gates: Its gates.
        weights: The new weights of layers, by name, in float64: what is folded is written here, over what is there.

    Returns:
        The name of the layer that has the gates now, or `None` if there is no layer that can take them.
    """
    for layer, scaled in ((_before(model, block), _scaled_outputs), (_behind(model, block), _scaled_inputs)):
        if layer is not None:
            old = weights.get(layer.name) or [_value(weight) for weight in layer.weights]
            weights[layer.name] = scaled(layer, old, gates.astype("float64"))
            return layer.name
    return None


def _value(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")


def _before(model: keras.Model, block: Any) -> Any:
    """The layer before a block, if it is linear and the block alone reads it."""
    (x,) = calls(block, model)[0].input_tensors
    layer = x._keras_history.operation
    if not read_once(layer, model) or not _same_channels(layer, block, len(x.shape)):
        return None
    if type(layer) is layers.BatchNormalization:
        return layer if layer.scale and layer.center else None
    linear = type(layer) in (*CONVOLUTIONS, *DEPTHWISE, layers.Dense) and layer.activation is keras.activations.linear
    return layer if linear and _is_plain(layer) else None


def _behind(model: keras.Model, block: Any) -> Any:
    """The layer behind a block, if it is linear in what it reads, and nothing else reads that."""
    rank, layer = len(calls(block, model)[0].output_tensors[0].shape), block
    while read_once(layer, model):
        (output,) = calls(layer, model)[0].output_tensors
        layer = next(reader for reader in _readers(model) if any(output is x for x in reader.input_tensors)).operation
        if len(calls(layer, model)) != 1 or not _same_channels(layer, block, rank):
            return None
        if type(layer) in (*CONVOLUTIONS, *DEPTHWISE, layers.Dense):
            return layer if getattr(layer, "groups", 1) == 1 and _is_plain(layer) else None
        if type(layer) not in CHANNELWISE:
            return None
    return None


def _is_plain(layer: Any) -> bool:
    """Whether a layer's weights are its kernel and bias: not also those of LoRA, nor a quantized kernel's scale."""
    return not getattr(layer, "lora_enabled", False) and getattr(layer, "quantization_mode", None) is None


def _readers(model: keras.Model) -> list[Any]:
    return [call for layer in model.layers for call in calls(layer, model)]


def _same_channels(layer: Any, block: Any, rank: int) -> bool:
    """Whether a layer has its channels on the axis of a block's."""
    first = block.data_format == "channels_first"
    if isinstance(layer, layers.BatchNormalization):
        return layer.axis in ((1,) if first else (-1, rank - 1))
    if isinstance(layer, layers.Dense):
        return not first or len(layer.input.shape) == 2
    return getattr(layer, "data_format", block.data_format) == block.data_format


def _scaled_outputs(layer: Any, weights: list[np.ndarray], gates: np.ndarray) -> list[np.ndarray]:
    if isinstance(layer, layers.BatchNormalization):
        gamma, beta, *statistics = weights
        return [gamma * gates, beta * gates, *statistics]
    kernel, *bias = weights
    # A depthwise kernel ends in (channels, multiplier), whose product is the output's channels.
    shape = kernel.shape[-2:] if isinstance(layer, DEPTHWISE) else kernel.shape[-1:]
    return [kernel * gates.reshape(shape), *(values * gates for values in bias)]


def _scaled_inputs(layer: Any, weights: list[np.ndarray], gates: np.ndarray) -> list[np.ndarray]:
    kernel, *bias = weights
    return [kernel * gates[:, None], *bias]
