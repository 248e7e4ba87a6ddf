"""SE-MobileNet (v1): depthwise separable convolutions, each followed by squeeze-and-excitation."""

import math
import os
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import keras
from keras import layers

from keras_se.layers.gated import positive_integer
from keras_se.models.blocks import batch_norm, conv
from keras_se.models.excite import Excite, excite
from keras_se.models.network import head_dtype, network, scaled

# Filters and number of blocks of each stage. The first block of every stage but the first halves the image.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
STEM_FILTERS = 32
# The stride of the stem, and the smallest image that the stages leave a pixel of.
STEMS = {"imagenet": (2, 32), "small": (1, 16)}
EPSILON = 1e-3


def _bn_relu6(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(batch_norm(x, epsilon=EPSILON, name=f"{name}_bn"))


def _depthwise(x: Any, stride: int, depth_multiplier: int, name: str) -> Any:
    # The reference network pads below and to the right only, whatever the size.
    if stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="valid" if stride > 1 else "same",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        # He initialisation for 9 inputs: Keras' own counts the inputs of all channels, and the signal dies out.
        depthwise_initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2 / 9)),
        name=name,
    )(x)
    return _bn_relu6(x, name)


def _features(image: Any, alpha: float, depth_multiplier: int, stem_stride: int, se: Excite) -> Any:
    x = layers.Conv2D(
        scaled(STEM_FILTERS, alpha),
        3,
        strides=stem_stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name="stem_conv",
    )(image)
    x = _bn_relu6(x, "stem_conv")
    for stage, (filters, depth) in enumerate(STAGES, start=1):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            at = partial(se, stage=stage, block=block)
            x = _depthwise(at("pre", x), 2 if block == 1 and stage > 1 else 1, depth_multiplier, f"{name}_depthwise")
            x = conv(at("3x3", x), scaled(filters, alpha), 1, name=f"{name}_pointwise")
            x = at("standard", _bn_relu6(x, f"{name}_pointwise"))
    return x


def _convolutional_head(x: Any, classes: int, activation: Any, dropout: float) -> Any:
    # As in keras.applications, whose weights fit: the classifier is a 1x1 convolution.
    x = layers.GlobalAveragePooling2D(keepdims=True, name="avg_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, dtype=head_dtype(), name="logits")(x)
    x = layers.Reshape((classes,), dtype=head_dtype(), name="flatten")(x)
    return layers.Activation(activation, dtype=head_dtype(), name="predictions")(x)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def SEMobileNet(
    input_shape: tuple | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "se_mobilenet",
    *,
    r: int | None = 16,
    se: Callable[[int], keras.layers.Layer | None] | None = None,
    placement: str = "standard",
    stem: str = "imagenet",
) -> keras.Model:
    """SE-MobileNet: MobileNet with SE after each pointwise convolution's batch norm and activation.

    With `r=None` it is the network of `keras.applications.MobileNet`, weight for weight and in the same order.
    Layers are named after their place: `stem_conv`, `stage4_block2_depthwise`, `stage4_block2_pointwise`,
    `stage4_block2_se`, `predictions`.

    Example:

    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(input_shape=(64, 64, 3), alpha=0.25, classes=10)
    >>> model.output_shape
    (None, 10)

    Args:
        input_shape, alpha, depth_multiplier, dropout, include_top, weights, input_tensor, pooling, classes,
            classifier_activation, name: As in `keras.applications.MobileNet`, in its order. `alpha` (> 0) scales
            every width. `weights` is `None` (random) or the path of a `.weights.h5` file of this network.
        r: The reduction ratio, or `None` for the plain network.
        se: A callable, stage (1 to 5) → a new layer or `None`, for any other excitation. It wins over `r`.
        placement: `"standard"` (after the pointwise convolution), `"3x3"` (after the depthwise one) or `"pre"`
            (before both). There is no residual branch, so neither `"post"` nor `"identity"`.
        stem: `"imagenet"`, stride 2 (images from 32x32 up), or `"small"`, stride 1 (from 16x16 up).

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: for an argument out of its range.

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., table 3;
        [MobileNets](https://arxiv.org/abs/1704.04861), Howard et al., table 1.
    """
    if not (_is_number(alpha) and 0 < alpha < math.inf):
        raise ValueError(f"alpha must be a number greater than 0. Received: alpha={alpha!r}")
    if not (_is_number(dropout) and 0 <= dropout < 1):
        raise ValueError(f"dropout must be a number from 0 to below 1. Received: dropout={dropout!r}")
    if stem not in STEMS:
        raise ValueError(f'stem must be "imagenet" or "small". Received: stem={stem!r}')
    depth_multiplier = positive_integer("depth_multiplier", depth_multiplier)
    placed = excite(r, se, placement, ("standard", "pre", "3x3"))
    stride, min_size = STEMS[stem]
    return network(
        lambda image: _features(image, alpha, depth_multiplier, stride, placed),
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
        min_size=min_size,
        head=partial(_convolutional_head, dropout=dropout),
    )
