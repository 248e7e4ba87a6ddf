"""Folds batch norms into the convolutions before them.

    conv → batch norm → relu        becomes        conv → relu

    gamma · (W x + b − mean) / sqrt(var + epsilon) + beta  =  W' x + b'

The new weights are computed in float64. A convolution is left alone if anything else reads its output.
"""

from typing import Any

import keras
import numpy as np

from keras_se.graph.copy_layers import remade
from keras_se.graph.layer_predicates import CONVOLUTIONS, DEPTHWISE
from keras_se.graph.rewrite import GraphEdits, Weights, asks_training


def fold_batch_norm(graph: GraphEdits) -> None:
    """Folds each batch norm into the convolution before it, where nothing else reads that convolution. Exact."""
    norms = [] if graph.in_training else [x for x in graph.called_once() if _is_norm(x, graph)]
    pairs = [(norm, graph.producer(graph.calls(norm)[0].input_tensors[0])) for norm in norms]
    for norm, conv in pairs:
        if _is_foldable(conv, norm, graph) and graph.only_reader(conv) is norm:
            weights = _folded_weights(conv, graph.weights(conv), norm, graph.weights(norm))
            graph.replace(conv, remade(conv, type(conv), use_bias=True), weights)
            graph.drop(norm)


def _is_norm(layer: Any, graph: GraphEdits) -> bool:
    return type(layer) is keras.layers.BatchNormalization and not asks_training(graph.calls(layer)[0])


def _is_foldable(conv: Any, norm: Any, graph: GraphEdits) -> bool:
    x, *mask = graph.calls(norm)[0].input_tensors
    return (
        not mask
        and type(conv) in CONVOLUTIONS + DEPTHWISE  # the output of a subclass need not be linear in the kernel
        and not getattr(conv, "lora_enabled", False)
        and conv.data_format == "channels_last"
        and norm.axis in (-1, len(x.shape) - 1)
        and conv.activation is keras.activations.linear
    )


def _folded_weights(conv: Any, conv_weights: Weights, norm: Any, norm_weights: Weights) -> Weights:
    kernel, *bias = conv_weights
    *affine, mean, variance = norm_weights
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * affine[0]
    shift = ((bias[0] if bias else 0.0) - mean) * scale + (affine[-1] if norm.center else 0.0)
    # A depthwise kernel ends in (channels, multiplier): their product is the number of output channels.
    shape = kernel.shape[-2:] if isinstance(conv, DEPTHWISE) else kernel.shape[-1:]
    return [kernel * scale.reshape(shape), shift]
