"""Padding with zeros, left to the convolution behind it."""

from typing import Any

import keras

from keras_se.rewrite import bare_config, called_once, calls, nested, read_once, substituted

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def pad_inside_convolution(model: keras.Model) -> keras.Model:
    """Makes one layer of zeros around an image and the convolution that reads them, where its own padding is the same.

    Exact. `"same"` at a stride of 2 pads an even size at its end, as MobileNet does, and an odd one on both sides, as
    ResNets do. Without LiteRT's delegate, on a microcontroller, the padded map would be one more in memory. Returns
    the model itself if there is nothing to merge.
    """
    pairs = {conv.name: (pad, conv) for conv in called_once(model) if (pad := _padding_before(conv, model))}
    replacements = nested(model, pad_inside_convolution)
    if not pairs and not replacements:
        return model
    same = {name: type(conv).from_config({**bare_config(conv), "padding": "same"}) for name, (_, conv) in pairs.items()}
    result = substituted(model, {**replacements, **same}, dropped={pad.name for pad, _ in pairs.values()})
    for name, (_, conv) in pairs.items():
        same[name].set_weights(conv.get_weights())
    return result


def _padding_before(conv: Any, model: keras.Model) -> Any:
    if type(conv) not in CONVOLUTIONS or conv.padding != "valid" or conv.data_format != "channels_last":
        return None
    if getattr(conv, "lora_enabled", False):
        return None
    pad = calls(conv, model)[0].input_tensors[0]._keras_history.operation
    if type(pad) is not keras.layers.ZeroPadding2D or pad.data_format != "channels_last" or not read_once(pad, model):
        return None
    sizes = calls(pad, model)[0].input_tensors[0].shape[1:3]
    axes = zip(sizes, pad.padding, conv.kernel_size, conv.strides, conv.dilation_rate, strict=True)
    return pad if all(size and _is_same(size, *axis) for size, *axis in axes) else None


def _is_same(size: int, ends: tuple[int, int], kernel: int, stride: int, dilation: int) -> bool:
    """Whether padding at both ends of an axis lets windows begin, and end, where "same" does in TensorFlow."""
    window = (kernel - 1) * dilation + 1
    windows = -(-size // stride)
    begin = max((windows - 1) * stride + window - size, 0) // 2
    return ends[0] == begin and (size + sum(ends) - window) // stride + 1 == windows
