"""Batch norm, folded into convolutions."""

from typing import Any

import keras
import numpy as np

from keras_se.export.passes._common import copying, in_float64, in_training, nested_in_inference
from keras_se.graph.rewrite import bare_config, calls, read_once, substituted

# The layers that a batch norm behind them can be folded into: what is computed is linear in the kernel.
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Merges each batch norm into the convolution before it, where nothing else reads that convolution.

        gamma · (W x + b − mean) / sqrt(var + epsilon) + beta  =  W' x + b'

    Exact: the new weights are computed in float64. Returns the model itself if there is nothing to fold.
    """
    pairs = {conv.name: (conv, norm) for conv, norm in _convolutions_with_norm(model)}
    replacements = nested_in_inference(model, fold_batch_norm)
    if not pairs and not replacements:
        return model
    replacements.update({name: _with_bias(conv) for name, (conv, _) in pairs.items()})
    result = substituted(model, replacements, dropped={norm.name for _, norm in pairs.values()})
    for name, (conv, norm) in pairs.items():
        replacements[name].set_weights(_folded_weights(conv, norm))
    return result


def _convolutions_with_norm(model: keras.Model) -> list[tuple[Any, Any]]:
    return [
        (conv, norm)
        for norm in model.layers
        if type(norm) is keras.layers.BatchNormalization and (conv := _convolution_before(norm, model)) is not None
    ]


def _convolution_before(norm: Any, model: keras.Model) -> Any:
    found = calls(norm, model)
    if len(found) != 1 or in_training(found[0]):
        return None
    (x,) = found[0].input_tensors
    conv = x._keras_history.operation
    foldable = (
        type(conv) in CONVOLUTIONS + DEPTHWISE  # a subclass may compute something that is not linear in the kernel
        and not getattr(conv, "lora_enabled", False)
        and conv.data_format == "channels_last"
        and norm.axis in (-1, len(x.shape) - 1)
        and conv.activation is keras.activations.linear
        and read_once(conv, model)
    )
    return conv if foldable else None


def _with_bias(conv: Any) -> Any:
    with copying(conv):
        return type(conv).from_config({**bare_config(conv), "use_bias": True})


def _folded_weights(conv: Any, norm: Any) -> list[np.ndarray]:
    kernel, *bias = (in_float64(weight) for weight in conv.weights)
    scale = 1 / np.sqrt(in_float64(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale = scale * in_float64(norm.gamma)
    shift = (bias[0] if bias else 0.0) - in_float64(norm.moving_mean)
    shift = shift * scale + (in_float64(norm.beta) if norm.center else 0.0)
    # A depthwise kernel ends in (channels, multiplier), whose product is the output's channels.
    shape = kernel.shape[-2:] if isinstance(conv, DEPTHWISE) else kernel.shape[-1:]
    return [kernel * scale.reshape(shape), shift]
