"""Semantic segmentation on any network of this package: a class for each pixel."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from keras_se._validation import positive_integer, positive_integers
from keras_se.layers import ConcurrentSqueezeExcite, ResizeLike
from keras_se.models._shared.blocks import channel_axis, concat, conv_bn, size_of
from keras_se.models._shared.excite import excite
from keras_se.models._shared.network import head_dtype
from keras_se.models.pyramid import feature_pyramid, levels, prepared_like

# Excitations of the decoder by name: scSE with the reduction ratio of Roy et al.
EXCITATIONS: dict[str, Callable[[int], keras.layers.Layer]] = {"scse": lambda step: ConcurrentSqueezeExcite(2)}
# The decoder has 16 filters at the image's size, twice as many with each doubling of the stride, and at most 256.
FINEST_FILTERS, MOST_FILTERS = 16, 256


def SEUNet(
    backbone: keras.Model,
    classes: int,
    filters: Sequence[int] | None = None,
    *,
    stride: int = 1,
    se: str | Callable[[int], keras.layers.Layer | None] | None = None,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> keras.Model:
    """A U-Net whose encoder is a network of this package, and whose decoder can have SE, too.

    Each step of the decoder resizes the feature map bilinearly to the size of the next finer one of the backbone,
    concatenates the two, and applies two 3x3 convolutions with batch norm and ReLU. The last step is at the image's
    size. With a larger `stride` it stops earlier, and the logits are resized to the image: that is faster.

    Example:

    >>> from keras_se.models import SEResNet, SEUNet
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> SEUNet(backbone, classes=7, se="scse").output_shape
    (None, 64, 64, 7)

    Args:
        backbone: A network made by a builder of `keras_se.models`, with or without its classifier. Its layers become
            the encoder, with shared weights. The encoder's SE is chosen in the builder.
        classes: Positive integer, the number of classes, the background included.
        filters: The filters of each step of the decoder, from coarse to fine. By default 16 at the image's size, twice
            as many with each doubling of the stride, and at most 256.
        stride: The stride of the decoder's last step: 1, or a stride of the backbone except its coarsest.
        se: The layer at the end of each step of the decoder: `None`; `"scse"` for `ConcurrentSqueezeExcite(2)`; or a
            callable, step (1, 2, …, from coarse to fine) → a new layer or `None`.
        classifier_activation: An activation, by name or as a function; `None` for logits.
        name: The model's name; `<the backbone's>_unet` by default.

    Returns:
        A functional `keras.Model`: the backbone's images → (batch, height, width, classes), in both data formats.

    Raises:
        ValueError: for an argument out of its range, or a backbone that no builder made.

    Reference:
        [U-Net](https://arxiv.org/abs/1505.04597), Ronneberger et al.; scSE after each step of a decoder:
        [Concurrent Spatial and Channel Squeeze & Excitation](https://arxiv.org/abs/1803.02579), Roy et al.
    """
    classes = positive_integer("classes", classes)
    strides = sorted(levels(backbone), reverse=True)
    pyramid = feature_pyramid(backbone, strides)
    image = _image(pyramid)
    x, *skips = pyramid.outputs
    steps = strides[1:]
    if strides[-1] > 1:  # the last step takes only the size of the image
        steps, skips = [*steps, 1], [*skips, image]
    known = sorted({1, *steps})
    if type(stride) is not int or stride not in known:
        raise ValueError(f"stride must be one of {', '.join(map(str, known))}. Received: stride={stride!r}")
    steps = [step for step in steps if step >= stride]
    widths = _widths(filters, steps, strides[0])
    place_se = excite(None, _excitation(se), "standard", ("standard",))
    for step, (skip, width) in enumerate(zip(skips, widths, strict=False), start=1):  # finer skips are not used
        block = f"decoder{step}"
        x = _resized(x, skip, name=f"{block}_up")
        if skip is not image:
            x = concat([x, skip], name=f"{block}_concat")
        for number in (1, 2):
            x = conv_bn(x, width, 3, name=f"{block}_conv{number}")
        x = place_se("standard", x, stage=step, name=block)
    x = layers.Conv2D(classes, 1, dtype=head_dtype(), name="logits")(x)
    x = _predictions(x, image, classifier_activation)
    return prepared_like(pyramid, keras.Model(pyramid.input, x, name=name or f"{backbone.name}_unet"))


def LRASPP(
    backbone: keras.Model,
    classes: int,
    filters: int = 128,
    *,
    strides: Sequence[int] = (8, 16),
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> keras.Model:
    """Lite reduced atrous spatial pyramid pooling, the head of MobileNetV3 for segmentation, on any network.

        x = relu(bn(W · coarse)) · sigmoid(G · mean(coarse))
        logits = A · resize(x) + B · fine, resized to the image

    It is small and fast, and its borders are coarser than a U-Net's. The mean is over the whole map.

    Example:

    >>> from keras_se.models import LRASPP, SEMobileNetV3Large
    >>> LRASPP(SEMobileNetV3Large(input_shape=(64, 64, 3), include_top=False), classes=21).output_shape
    (None, 64, 64, 21)

    Args:
        backbone: A network made by a builder of `keras_se.models`, with or without its classifier. Weights are shared.
        classes: Positive integer, the number of classes, the background included.
        filters: Positive integer, the filters of the two branches of the coarse map.
        strides: The strides of the fine and of the coarse map, `(8, 16)` as published. Networks for small images have
            other strides.
        classifier_activation: An activation, by name or as a function; `None` for logits.
        name: The model's name; `<the backbone's>_lraspp` by default.

    Returns:
        A functional `keras.Model`: the backbone's images → (batch, height, width, classes), in both data formats.

    Raises:
        ValueError: for an argument out of its range, a backbone that no builder made, or strides that it lacks.

    Reference:
        [Searching for MobileNetV3](https://arxiv.org/abs/1905.02244), Howard et al., section 6.4 and figure 10.
    """
    classes, filters = positive_integer("classes", classes), positive_integer("filters", filters)
    if not isinstance(strides, Sequence) or len(strides) != 2:
        raise ValueError(f"strides must be two integers, of the fine and the coarse map. Received: strides={strides}")
    pyramid = feature_pyramid(backbone, strides)
    if strides[0] >= strides[1]:
        raise ValueError(f"strides must have that of the fine map first. Received: strides={strides}")
    image = _image(pyramid)
    fine, coarse = pyramid.outputs
    x = conv_bn(coarse, filters, name="coarse_conv")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="gate_pool")(coarse)
    gate = layers.Conv2D(filters, 1, use_bias=False, activation="sigmoid", name="gate_conv")(gate)
    x = _resized(layers.Multiply(name="gated")([x, gate]), fine, name="up")
    logits = [
        layers.Conv2D(classes, 1, dtype=head_dtype(), name=f"{source}_logits")(features)
        for source, features in (("coarse", x), ("fine", fine))
    ]
    x = _predictions(layers.Add(dtype=head_dtype(), name="logits")(logits), image, classifier_activation)
    return prepared_like(pyramid, keras.Model(pyramid.input, x, name=name or f"{backbone.name}_lraspp"))


def _image(model: keras.Model) -> Any:
    """The input image of the model, or a `ValueError` for other inputs."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = [tuple(x.shape[1:]) for x in model.inputs]
        raise ValueError(f"backbone must have one input, an image of rank 3. Received: inputs of shapes {shapes}")
    return model.inputs[0]


def _widths(filters: Sequence[int] | None, steps: Sequence[int], coarsest: int) -> list[int]:
    if filters is None:
        return [min(FINEST_FILTERS * stride, MOST_FILTERS) for stride in steps]
    widths = positive_integers("filters", filters)
    if len(widths) != len(steps):
        raise ValueError(
            f"filters must have {len(steps)} integers, one for each step from stride {coarsest} to {steps[-1]}. "
            f"Received: filters={filters}"
        )
    return widths


def _excitation(
    se: str | Callable[[int], keras.layers.Layer | None] | None,
) -> Callable[[int], keras.layers.Layer | None] | None:
    if not isinstance(se, str):
        return se
    if se not in EXCITATIONS:
        allowed = ", ".join(f'"{known}"' for known in EXCITATIONS)
        raise ValueError(f"se must be None, {allowed} or a function from the step to a new layer. Received: se={se!r}")
    return EXCITATIONS[se]


def _resized(x: Any, like: Any, *, name: str, **options: Any) -> Any:
    if size_of(x) == size_of(like) and None not in size_of(x):
        return x
    return ResizeLike(name=name, **options)([x, like])


def _predictions(logits: Any, image: Any, activation: Any) -> Any:
    """Class predictions of the image's size, channels last for any data format, as Keras' losses require."""
    x = _resized(logits, image, dtype=head_dtype(), name="resized")
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype=head_dtype(), name="channels_last")(x)
    return layers.Activation(activation, dtype=head_dtype(), name="predictions")(x)
