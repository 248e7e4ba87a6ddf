"""The convolutions, poolings and norms of all networks, with their initial values, paddings and names."""

import math
from typing import Any

import keras
from keras import layers

# With Keras' default (0.99) the moving statistics are unusable after a few hundred steps.
BATCH_NORM_MOMENTUM = 0.9


def channel_axis() -> int:
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def channels(x: Any) -> int:
    return x.shape[channel_axis()]


def size_of(x: Any) -> tuple[Any, Any]:
    """Height and width of a feature map, `None` where unknown."""
    return x.shape[2:] if channel_axis() == 1 else x.shape[1:3]


def conv(
    x: Any,
    filters: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    *,
    padding: str = "symmetric",
    groups: int = 1,
    use_bias: bool = False,
    name: str,
) -> Any:
    """A convolution.

    Its padding is `"symmetric"` (`kernel // 2` on each side, as in PyTorch and Caffe) or, as in Keras, `"same"` or
    `"valid"`. With a stride of 2 and an even size, Keras' `"same"` pads only at the end: symmetric padding is then a
    separate layer, `<name>_pad`.
    """
    if channels(x) % groups or filters % groups:
        raise ValueError(
            f"groups must divide the channels before and after {name}, {channels(x)} and {filters}. "
            f"Received: groups={groups}"
        )
    if padding == "symmetric" and stride > 1 and kernel != 1:
        x = layers.ZeroPadding2D(_half(kernel), name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same" if padding == "symmetric" else padding,
        groups=groups,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def depthwise(
    x: Any, kernel: int, stride: int = 1, *, padding: str = "same", depth_multiplier: int = 1, name: str
) -> Any:
    """A depthwise convolution. Its padding is as in `conv`, or `"end"`: one row below and one column to the right."""
    if padding in ("symmetric", "end") and stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)) if padding == "end" else kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="valid" if padding == "valid" else "same",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        # He's initialisation for kernel² inputs: Keras' counts the inputs of all channels, and the signal vanishes.
        depthwise_initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2) / kernel),
        name=name,
    )(x)


def batch_norm(x: Any, *, epsilon: float = 1e-5, scale: bool = True, name: str) -> Any:
    return layers.BatchNormalization(
        axis=channel_axis(), momentum=BATCH_NORM_MOMENTUM, epsilon=epsilon, scale=scale, name=name
    )(x)


def bn_act(x: Any, activation: str | None = "relu", *, name: str, **norm: Any) -> Any:
    """Layers `<name>_bn` and, with an activation, `<name>_<activation>`; a relu6 is also called `<name>_relu`."""
    x = batch_norm(x, name=f"{name}_bn", **norm)
    if activation is None:
        return x
    return layers.Activation(activation, name=f"{name}_{activation.removesuffix('6')}")(x)


def conv_bn(
    x: Any,
    filters: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    *,
    activation: str | None = "relu",
    epsilon: float = 1e-5,
    scale: bool = True,
    name: str,
    **options: Any,
) -> Any:
    """Layers `<name>`, `<name>_bn` and, with an activation, `<name>_<activation>`."""
    x = conv(x, filters, kernel, stride, name=name, **options)
    return bn_act(x, activation, epsilon=epsilon, scale=scale, name=name)


def depthwise_bn(
    x: Any,
    kernel: int,
    stride: int = 1,
    *,
    activation: str | None = "relu",
    epsilon: float = 1e-5,
    name: str,
    **options: Any,
) -> Any:
    """Layers `<name>`, `<name>_bn` and, with an activation, `<name>_<activation>`."""
    return bn_act(depthwise(x, kernel, stride, name=name, **options), activation, epsilon=epsilon, name=name)


def max_pool_ceil(x: Any, *, name: str) -> Any:
    """3x3 max-pooling of stride 2 in ceil mode, without padding, as in Caffe. The values must not be negative."""
    parities = {None if size is None else size % 2 for size in size_of(x)}
    if parities == {0}:  # ceil mode lacks one row and one column at the end, where "same" pads
        return layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
    if parities != {1}:  # unknown or mixed sizes: a padded row or column of zeros changes no maximum
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name=name)(x)


def max_pool_padded(x: Any, *, name: str) -> Any:
    """3x3 max-pooling of stride 2, padded by 1 on each side, as in PyTorch. The values must not be negative."""
    return layers.MaxPooling2D(3, strides=2, name=name)(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))


def concat(parts: list[Any], *, name: str) -> Any:
    return layers.Concatenate(axis=channel_axis(), name=name)(parts)


def scaled(filters: float, factor: float) -> int:
    """`filters` times a width multiplier, at least 1."""
    return max(1, math.floor(filters * factor))


def divisible(filters: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, but not less than 90 % of `filters`: the rule of the MobileNets."""
    nearest = max(divisor, math.floor(filters + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * filters else nearest


def _half(kernel: int | tuple[int, int]) -> int | tuple[int, int]:
    return kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
