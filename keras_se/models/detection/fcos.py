"""Object detection on any network of this package: FCOS, which needs no anchors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_se._validation import positive_integer
from keras_se.layers import ResizeLike
from keras_se.models._shared.blocks import channel_axis, conv, conv_bn
from keras_se.models._shared.excite import Excite, excite
from keras_se.models._shared.network import head_dtype
from keras_se.models.pyramid import feature_pyramid, prepared_like

# Of every location, before training: so the many that are background do not outweigh the others (Lin et al.).
FIRST_SCORE = 0.01
# What each location says of its box: how far its sides are, and how well it is placed in it.
SIDES, QUALITY = 4, 1


def SEFCOS(
    backbone: keras.Model,
    classes: int,
    filters: int = 128,
    *,
    strides: Sequence[int] = (8, 16, 32),
    depth: int = 2,
    r: int | None = 16,
    se: Callable[[int], keras.layers.Layer | None] | None = None,
    name: str | None = None,
) -> keras.Model:
    """A detector that tells of each location of some feature maps whether it is in an object, and where its sides are.

    The maps are a feature pyramid's: each gets what the coarser one has, resized to its size, and then a 3x3
    convolution and SE. One small head, shared by all of them, gives each location a logit for each class, the
    distances to the left, top, right and bottom side of its box, in locations of its own map, and a logit of its
    centerness, which is 1 in the middle of a box and less towards its sides.

    What it returns is for training with `FCOSLoss` and `detection_targets`; `with_detections` makes boxes of it.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> SEFCOS(backbone, classes=6, filters=32, strides=(8, 16)).output_shape  # of 8x8 and 4x4 locations
    (None, 80, 11)

    Args:
        backbone: What a builder of `keras_se.models` returned, with or without its classifier. Weights are shared;
            its own SE is an argument of the builder.
        classes: Number of classes of objects.
        filters: The width of the pyramid and of the head.
        strides: Of the maps, from fine to coarse. Objects of a few pixels need fine ones.
        depth: How many 3x3 convolutions the head has for the classes, and as many for the boxes.
        r: The reduction ratio of the SE behind each map, or `None` for none.
        se: A callable, map (1, 2, …, from fine to coarse) → a new layer or `None`, for any other excitation. It wins
            over `r`.
        name: The model's name; `<the backbone's>_fcos` by default.

    Returns:
        A functional `keras.Model`, of images as the backbone takes them → (batch, locations, classes + 5): logits of
        classes, four distances, and the logit of the centerness; the finest map comes first, row by row.

    Raises:
        ValueError: for an argument out of its range, a model that no builder returned, or strides that it lacks.

    Reference:
        [FCOS: Fully Convolutional One-Stage Object Detection](https://arxiv.org/abs/1904.01355), Tian et al., with
        distances in units of each map, behind a ReLU, as in the authors' later version.
    """
    classes, filters = positive_integer("classes", classes), positive_integer("filters", filters)
    at = excite(r, se, "standard", ("standard",))
    pyramid = feature_pyramid(backbone, strides)
    if list(strides) != sorted(set(strides)):
        raise ValueError(f"strides must go from fine to coarse. Received: strides={strides}")
    maps = _neck(pyramid.outputs, filters, at)
    results = _head(maps, classes, filters, positive_integer("depth", depth))
    x = layers.Concatenate(dtype=head_dtype(), name="predictions")(results)
    return prepared_like(pyramid, keras.Model(pyramid.input, x, name=name or f"{backbone.name}_fcos"))


def _neck(maps: Sequence[Any], filters: int, at: Excite) -> list[Any]:
    """The maps, each with what the coarser ones have."""
    results, above = [], None
    for level, x in reversed(list(enumerate(maps, start=1))):
        x = conv(x, filters, use_bias=True, name=f"neck{level}_lateral")
        if above is not None:
            x = layers.Add(name=f"neck{level}_add")([x, ResizeLike(name=f"neck{level}_up")([above, x])])
        above = x
        x = conv_bn(x, filters, 3, name=f"neck{level}_conv")
        results.append(at("standard", x, stage=level, name=f"neck{level}"))
    return results[::-1]


def _head(maps: list[Any], classes: int, filters: int, depth: int) -> list[Any]:
    """Logits of classes, distances, and logits of centerness, of all maps' locations in a row."""
    towers = {
        name: [_shared(filters, f"{name}_tower{step}", activation="relu") for step in range(1, depth + 1)]
        for name in ("classes", "boxes")
    }
    rare = keras.initializers.Constant(-math.log(1 / FIRST_SCORE - 1))
    # Boxes of two locations' width and height, at first: a ReLU that is off does not learn.
    ends = {
        "classes": _shared(classes, "classes_conv", bias_initializer=rare, dtype=head_dtype()),
        "boxes": _shared(SIDES, "boxes_conv", bias_initializer="ones", dtype=head_dtype()),
        "quality": _shared(QUALITY, "quality_conv", dtype=head_dtype()),
    }
    found: dict[str, list[Any]] = {name: [] for name in ends}
    for level, x in enumerate(maps, start=1):
        seen = {name: _through(tower, x) for name, tower in towers.items()}
        seen["quality"] = seen["boxes"]
        for name, end in ends.items():
            found[name].append(_in_a_row(end(seen[name]), f"level{level}_{name}"))
    joined = {name: _joined(parts, f"{name}_all") for name, parts in found.items()}
    distances = layers.ReLU(dtype=head_dtype(), name="distances")(joined["boxes"])
    return [joined["classes"], distances, joined["quality"]]


def _shared(filters: int, name: str, **options: Any) -> keras.layers.Layer:
    # What tells is small at first, by as much as with the authors' deviation of 0.01 and 256 filters.
    initializer = "he_normal" if "activation" in options else keras.initializers.VarianceScaling(0.25)
    return layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer, name=name, **options)


def _through(tower: list[keras.layers.Layer], x: Any) -> Any:
    for layer in tower:
        x = layer(x)
    return x


def _in_a_row(x: Any, name: str) -> Any:
    """(batch, height, width, channels), or channels first → (batch, locations, channels)."""
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype=head_dtype(), name=f"{name}_last")(x)
    return layers.Reshape((-1, x.shape[-1]), dtype=head_dtype(), name=name)(x)


def _joined(parts: list[Any], name: str) -> Any:
    return parts[0] if len(parts) == 1 else layers.Concatenate(1, dtype=head_dtype(), name=name)(parts)


@dataclass(frozen=True)
class Parts:
    """What a model of `SEFCOS` computes, by its layers.

    Attributes:
        image: Height and width of what it takes.
        maps: Height and width of each map, from fine to coarse.
        classes, distances, quality: What all locations say.
    """

    image: tuple[int, int]
    maps: tuple[tuple[int, int], ...]
    classes: Any
    distances: Any
    quality: Any


def parts(model: keras.Model) -> Parts:
    """The parts of a detector, or a `ValueError` if it is none, or takes images of unknown sizes."""
    known = {layer.name: layer for layer in getattr(model, "layers", [])}
    try:
        classes, distances, quality = known["predictions"].input
        rows = [known[name] for name in known if name.startswith("level") and name.endswith("_classes")]
        found = [layer.input for layer in rows]
        image = model.inputs[0]
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:  # not three tensors, too
        received = repr(getattr(model, "name", model))
        raise ValueError(f"model must be one that SEFCOS returned. Received: {received}") from error
    sizes = [tuple(x.shape[1:3]) for x in found]  # with channels last, whatever the image has
    first = 2 if channel_axis() == 1 else 1
    size = tuple(image.shape[first : first + 2])
    if None in size:
        raise ValueError(f"model must take images of a known size. Received: a model of {tuple(image.shape[1:])}")
    return Parts(size, tuple(sizes), classes, distances, quality)
