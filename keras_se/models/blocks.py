"""The convolutions, poolings and names that every network here is made of."""

from typing import Any

import keras
from keras import layers

# Keras' own momentum (0.99) leaves the moving statistics unusable after a few hundred steps.
BATCH_NORM_MOMENTUM = 0.9


def channel_axis() -> int:
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def conv(
    x: Any, filters: int, kernel: int, stride: int = 1, *, groups: int = 1, use_bias: bool = False, name: str
) -> Any:
    """A convolution with symmetric padding `kernel // 2` on each side, as PyTorch and Caffe networks have it.

    Keras' `padding="same"` pads only at the end where a stride of 2 meets an even size, so there the padding is
    a layer of its own, `<name>_pad`.
    """
    pad = stride > 1 and kernel > 1
    if pad:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if pad else "same",
        groups=groups,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def batch_norm(x: Any, *, epsilon: float = 1e-5, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), momentum=BATCH_NORM_MOMENTUM, epsilon=epsilon, name=name)(x)


def conv_bn(
    x: Any, filters: int, kernel: int, stride: int = 1, *, activation: str | None = "relu", name: str, **options: Any
) -> Any:
    """Layers `<name>`, `<name>_bn` and, with an activation, `<name>_<activation>`."""
    x = conv(x, filters, kernel, stride, name=name, **options)
    x = batch_norm(x, name=f"{name}_bn")
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def max_pool_ceil(x: Any, *, name: str) -> Any:
    """Max-pooling 3/2 without padding in ceil mode, as in Caffe, of values that are not negative."""
    height, width = x.shape[2:] if channel_axis() == 1 else x.shape[1:3]
    parities = {None if size is None else size % 2 for size in (height, width)}
    if parities == {0}:  # one row and one column are missing at the end, which is where "same" pads
        return layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
    if parities != {1}:  # unknown or mixed sizes: a padded row or column of zeros changes no maximum
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name=name)(x)
