"""Semantic segmentation on any network of this package: a class for each pixel."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from keras_se._validation import positive_integer, positive_integers
from keras_se.layers import ConcurrentSqueezeExcite, ResizeLike
from keras_se.models._shared.blocks import channel_axis, concat, conv_bn
from keras_se.models._shared.excite import excite
from keras_se.models._shared.network import head_dtype
from keras_se.models.pyramid import feature_pyramid, levels, prepared_like

# Of the decoder, by name: scSE with the ratio of Roy et al.
EXCITED: dict[str, Callable[[int], keras.layers.Layer]] = {"scse": lambda step: ConcurrentSqueezeExcite(2)}
# The decoder's width at the image's size, which doubles with the stride, and where it stops.
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
    """A U-Net whose encoder is a network of this package, with SE in the decoder, too, if wanted.

    Each step of the decoder resizes the map to the next finer one of the backbone (bilinearly, also where that is not
    twice as large), puts the two side by side, and convolves twice, 3x3, with batch norm and ReLU. The last step is at
    the image's size, or at that of `stride`: the logits are resized, then, which is faster.

    Example:

    >>> from keras_se.models import SEResNet, SEUNet
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> SEUNet(backbone, classes=7, se="scse").output_shape
    (None, 64, 64, 7)

    Args:
        backbone: What a builder of `keras_se.models` returned, with or without its classifier. Its layers become the
            encoder, weights shared; its own SE is an argument of the builder.
        classes: Number of classes, the background included.
        filters: The width of each step of the decoder, from coarse to fine; by default 16 at the image's size, twice
            as many with each doubling of the stride, and 256 at the most.
        stride: Of the decoder's last step: 1, or a stride of the backbone that is finer than its coarsest.
        se: What each step of the decoder ends in: `None`; `"scse"`, which is `ConcurrentSqueezeExcite(2)`; or a
            callable, step (1, 2, …, from coarse to fine) → a new layer or `None`.
        classifier_activation: What `keras.activations.get` takes; `None` for logits.
        name: The model's name; `<the backbone's>_unet` by default.

    Returns:
        A functional `keras.Model`, of images as the backbone takes them → (batch, height, width, classes), with
        either data format.

    Raises:
        ValueError: for an argument out of its range, or a model that no builder returned.

    Reference:
        [U-Net](https://arxiv.org/abs/1505.04597), Ronneberger et al.; scSE behind each step of a decoder:
        [Concurrent Spatial and Channel Squeeze & Excitation](https://arxiv.org/abs/1803.02579), Roy et al.
    """
    classes = positive_integer("classes", classes)
    strides = sorted(levels(backbone), reverse=True)
    pyramid = feature_pyramid(backbone, strides)
    image = _image(pyramid)
    x, *skips = pyramid.outputs
    steps = strides[1:]
    if strides[-1] > 1:  # up to the image, of which nothing but the size is taken
        steps, skips = [*steps, 1], [*skips, image]
    known = sorted({1, *steps})
    if type(stride) is not int or stride not in known:
        raise ValueError(f"stride must be one of {', '.join(map(str, known))}. Received: stride={stride!r}")
    steps = [step for step in steps if step >= stride]
    widths = _widths(filters, steps, strides[0])
    at = excite(None, _excitation(se), "standard", ("standard",))
    for step, (skip, width) in enumerate(zip(skips, widths, strict=False), start=1):  # skips of finer steps are left
        block = f"decoder{step}"
        x = _resized(x, skip, name=f"{block}_up")
        if skip is not image:
            x = concat([x, skip], name=f"{block}_concat")
        for number in (1, 2):
            x = conv_bn(x, width, 3, name=f"{block}_conv{number}")
        x = at("standard", x, stage=step, name=block)
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

    It is small and fast, and coarser than a U-Net. The mean is over the whole map.

    Example:

    >>> from keras_se.models import LRASPP, SEMobileNetV3Large
    >>> LRASPP(SEMobileNetV3Large(input_shape=(64, 64, 3), include_top=False), classes=21).output_shape
    (None, 64, 64, 21)

    Args:
        backbone: What a builder of `keras_se.models` returned, with or without its classifier; weights are shared.
        classes: Number of classes, the background included.
        filters: The width of the two branches of the coarse map.
        strides: Of the fine and of the coarse map: `(8, 16)` as published. Networks for small images have other ones.
        classifier_activation: What `keras.activations.get` takes; `None` for logits.
        name: The model's name; `<the backbone's>_lraspp` by default.

    Returns:
        A functional `keras.Model`, of images as the backbone takes them → (batch, height, width, classes), with
        either data format.

    Raises:
        ValueError: for an argument out of its range, a model that no builder returned, or strides that it lacks.

    Reference:
        [Searching for MobileNetV3](https://arxiv.org/abs/1905.02244), Howard et al., section 6.4 and figure 10.
    """
    classes, filters = positive_integer("classes", classes), positive_integer("filters", filters)
    if not isinstance(strides, Sequence) or len(strides) != 2:
        raise ValueError(f"strides must be two, of the fine and of the coarse map. Received: strides={strides}")
    pyramid = feature_pyramid(backbone, strides)
    if strides[0] >= strides[1]:
        raise ValueError(f"strides must be two, that of the fine map first. Received: strides={strides}")
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
    """What the model takes: the classes are of its pixels."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = [tuple(x.shape[1:]) for x in model.inputs]
        raise ValueError(f"backbone must take an image, of height, width and channels. Received: inputs {shapes}")
    return model.inputs[0]


def _widths(filters: Sequence[int] | None, steps: Sequence[int], coarsest: int) -> list[int]:
    if filters is None:
        return [min(FINEST_FILTERS * stride, MOST_FILTERS) for stride in steps]
    widths = positive_integers("filters", filters)
    if len(widths) != len(steps):
        raise ValueError(
            f"filters must have a number for each of the {len(steps)} steps from stride {coarsest} to {steps[-1]}. "
            f"Received: filters={filters}"
        )
    return widths


def _excitation(
    se: str | Callable[[int], keras.layers.Layer | None] | None,
) -> Callable[[int], keras.layers.Layer | None] | None:
    if not isinstance(se, str):
        return se
    if se not in EXCITED:
        allowed = ", ".join(f'"{known}"' for known in EXCITED)
        raise ValueError(f"se must be None, {allowed} or a function from the step to a new layer. Received: se={se!r}")
    return EXCITED[se]


def _resized(x: Any, like: Any, *, name: str, **options: Any) -> Any:
    axis = 2 if channel_axis() == 1 else 1
    sizes = [tuple(tensor.shape[axis : axis + 2]) for tensor in (x, like)]
    if sizes[0] == sizes[1] and None not in sizes[0]:
        return x
    return ResizeLike(name=name, **options)([x, like])


def _predictions(logits: Any, image: Any, activation: Any) -> Any:
    """Of the image's size. Channels come last in any case: Keras' losses and metrics want them there."""
    x = _resized(logits, image, dtype=head_dtype(), name="resized")
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype=head_dtype(), name="channels_last")(x)
    return layers.Activation(activation, dtype=head_dtype(), name="predictions")(x)
