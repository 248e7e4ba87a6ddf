"""Folds constant gates, one for each channel, into the weights of a layer beside the SE block."""

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_se.graph.layer_predicates import CONVOLUTIONS, DEPTHWISE, DROPOUTS
from keras_se.graph.rewrite import GraphEdits

# Layers that commute with a constant for each channel.
CHANNELWISE = (
    *(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D, *DROPOUTS[:4]),
)


def fold(graph: GraphEdits, block: Any, gates: np.ndarray) -> str | None:
    """Multiplies the weights of a layer beside a block by the block's constant gates.

    Args:
        graph: The graph that the block is in, in which the layer gets new weights.
        block: An SE layer that is called once.
        gates: Its gates.

    Returns:
        The name of the layer that has the gates now, or `None` if there is no layer that can take them.
    """
    for layer, scaled in ((_before(graph, block), _scaled_outputs), (_behind(graph, block), _scaled_inputs)):
        if layer is not None:
            graph.set_weights(layer, scaled(layer, graph.weights(layer), gates.astype("float64")))
            return str(layer.name)
    return None


def _before(graph: GraphEdits, block: Any) -> Any:
    """The layer before a block, if it is linear and only the block reads it."""
    (x,) = graph.calls(block)[0].input_tensors
    layer = graph.producer(x)
    if graph.only_reader(layer) is not block or not _same_channels(layer, block, x):
        return None
    if type(layer) is layers.BatchNormalization:
        return layer if layer.scale and layer.center else None
    linear = type(layer) in (*CONVOLUTIONS, *DEPTHWISE, layers.Dense) and layer.activation is keras.activations.linear
    return layer if linear and _is_plain(layer) else None


def _behind(graph: GraphEdits, block: Any) -> Any:
    """The layer behind a block, if it is linear in its input, which nothing else reads."""
    layer = block
    while (reader := graph.only_reader(layer)) is not None:
        (x,) = graph.calls(layer)[0].output_tensors
        layer = reader
        if len(graph.calls(layer)) != 1 or not _same_channels(layer, block, x):
            return None
        if type(layer) in (*CONVOLUTIONS, *DEPTHWISE, layers.Dense):
            return layer if getattr(layer, "groups", 1) == 1 and _is_plain(layer) else None
        if type(layer) not in CHANNELWISE:
            return None
    return None


def _is_plain(layer: Any) -> bool:
    """Whether a layer's weights are a kernel and a bias alone: no adapters of LoRA, no scale of a quantized kernel."""
    return not getattr(layer, "lora_enabled", False) and getattr(layer, "quantization_mode", None) is None


def _same_channels(layer: Any, block: Any, x: Any) -> bool:
    """Whether a layer has its channels on the same axis as a block, in a tensor beside it."""
    first = block.data_format == "channels_first"
    if isinstance(layer, layers.BatchNormalization):
        return layer.axis in ((1,) if first else (-1, len(x.shape) - 1))
    if isinstance(layer, layers.Dense):
        return not first or len(x.shape) == 2
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
