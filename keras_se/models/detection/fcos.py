"""FCOS, an object detector without anchors, on any network of this package."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_se._validation import positive_integer
from keras_se.layers import ResizeLike
from keras_se.models._shared.blocks import channel_axis, conv, conv_bn, size_of
from keras_se.models._shared.excite import Excite, excite
from keras_se.models._shared.network import head_dtype
from keras_se.models.pyramid import feature_pyramid, prepared_like

# The score of every location before training, low so that the many background locations do not dominate (Lin et al.).
FIRST_SCORE = 0.01
# The outputs of each location beside the class logits: distances to the sides of its box, and its centerness.
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
    """A detector that predicts, at each location of several feature maps, an object's class and the sides of its box.

    The feature maps form a pyramid: the coarser map is resized and added to each, followed by a 3x3 convolution and
    SE. One small head is shared by all maps. For each location it predicts a logit of each class; the distances to the
    left, top, right and bottom side of the box, in locations of the map; and a logit of the centerness, which is 1 in
    the middle of a box and falls towards its sides.

    Train the model with `FCOSLoss` and `detection_targets`; `with_detections` adds the decoding of boxes.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> SEFCOS(backbone, classes=6, filters=32, strides=(8, 16)).output_shape  # of 8x8 and 4x4 locations
    (None, 80, 11)

    Args:
        backbone: A network made by a builder of `keras_se.models`, with or without its classifier. Weights are shared.
            The backbone's SE is chosen in the builder.
        classes: Positive integer, the number of classes of objects.
        filters: Positive integer, the filters of the pyramid and of the head.
        strides: The strides of the maps, from fine to coarse. Objects of a few pixels require fine ones.
        depth: Positive integer, the number of 3x3 convolutions in the class branch of the head, and in its box branch.
        r: Positive integer, the reduction ratio of the SE after each map, or `None` for none.
        se: A callable, map (1, 2, …, from fine to coarse) → a new layer or `None`, for any other excitation. It takes
            precedence over `r`.
        name: The model's name; `<the backbone's>_fcos` by default.

    Returns:
        A functional `keras.Model`: the backbone's images → (batch, locations, classes + 5), for each location the class
        logits, four distances, and the logit of the centerness. The finest map comes first, row by row.

    Raises:
        ValueError: for an argument out of its range, a backbone that no builder made, or strides that it lacks.

    Reference:
        [FCOS: Fully Convolutional One-Stage Object Detection](https://arxiv.org/abs/1904.01355), Tian et al., with
        distances in locations of each map, after a ReLU, as in the authors' later version.
    """
    classes, filters = positive_integer("classes", classes), positive_integer("filters", filters)
    place_se = excite(r, se, "standard", ("standard",))
    pyramid = feature_pyramid(backbone, strides)
    if list(strides) != sorted(set(strides)):
        raise ValueError(f"strides must go from fine to coarse. Received: strides={strides}")
    maps = _neck(pyramid.outputs, filters, place_se)
    predictions = _head(maps, classes, filters, positive_integer("depth", depth))
    x = layers.Concatenate(dtype=head_dtype(), name="predictions")(predictions)
    return prepared_like(pyramid, keras.Model(pyramid.input, x, name=name or f"{backbone.name}_fcos"))


def _neck(maps: Sequence[Any], filters: int, place_se: Excite) -> list[Any]:
    """The feature pyramid: each map plus the next coarser one, all of `filters` channels."""
    results, above = [], None
    for level, x in reversed(list(enumerate(maps, start=1))):
        x = conv(x, filters, use_bias=True, name=f"neck{level}_lateral")
        if above is not None:
            x = layers.Add(name=f"neck{level}_add")([x, ResizeLike(name=f"neck{level}_up")([above, x])])
        above = x
        x = conv_bn(x, filters, 3, name=f"neck{level}_conv")
        results.append(place_se("standard", x, stage=level, name=f"neck{level}"))
    return results[::-1]


def _head(maps: list[Any], classes: int, filters: int, depth: int) -> list[Any]:
    """Class logits, distances and centerness logits of the locations of all maps: (batch, locations, …) each."""
    towers = {
        name: [_head_convolution(filters, f"{name}_tower{step}", activation="relu") for step in range(1, depth + 1)]
        for name in ("classes", "boxes")
    }
    low_score = keras.initializers.Constant(-math.log(1 / FIRST_SCORE - 1))
    # The bias of 1 makes boxes of 2x2 locations before training: a ReLU that outputs 0 would not learn.
    predictors = {
        "classes": _head_convolution(classes, "classes_conv", bias_initializer=low_score, dtype=head_dtype()),
        "boxes": _head_convolution(SIDES, "boxes_conv", bias_initializer="ones", dtype=head_dtype()),
        "quality": _head_convolution(QUALITY, "quality_conv", dtype=head_dtype()),
    }
    levels: dict[str, list[Any]] = {name: [] for name in predictors}
    for level, x in enumerate(maps, start=1):
        features = {name: _chain(tower, x) for name, tower in towers.items()}
        features["quality"] = features["boxes"]
        for name, predictor in predictors.items():
            levels[name].append(_flatten_locations(predictor(features[name]), f"level{level}_{name}"))
    predictions = {name: _concatenate(tensors, f"{name}_all") for name, tensors in levels.items()}
    distances = layers.ReLU(dtype=head_dtype(), name="distances")(predictions["boxes"])
    return [predictions["classes"], distances, predictions["quality"]]


def _head_convolution(filters: int, name: str, **options: Any) -> keras.layers.Layer:
    # Predictions start small, as with the authors' standard deviation of 0.01 and 256 filters.
    initializer = "he_normal" if "activation" in options else keras.initializers.VarianceScaling(0.25)
    return layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer, name=name, **options)


def _chain(tower: list[keras.layers.Layer], x: Any) -> Any:
    for layer in tower:
        x = layer(x)
    return x


def _flatten_locations(x: Any, name: str) -> Any:
    """(batch, height, width, channels), or channels first → (batch, locations, channels)."""
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype=head_dtype(), name=f"{name}_last")(x)
    return layers.Reshape((-1, x.shape[-1]), dtype=head_dtype(), name=name)(x)


def _concatenate(tensors: list[Any], name: str) -> Any:
    return tensors[0] if len(tensors) == 1 else layers.Concatenate(1, dtype=head_dtype(), name=name)(tensors)


@dataclass(frozen=True)
class DetectorOutputs:
    """The predictions of a model made by `SEFCOS`, found by its layers.

    Attributes:
        image: Height and width of the image, in pixels.
        maps: Height and width of each map, from fine to coarse.
        classes: Class logits (batch, locations, classes).
        distances: Distances to the sides (batch, locations, 4), in locations of each map.
        quality: Centerness logits (batch, locations, 1).
    """

    image: tuple[int, int]
    maps: tuple[tuple[int, int], ...]
    classes: Any
    distances: Any
    quality: Any


def detector_outputs(model: keras.Model) -> DetectorOutputs:
    """The predictions of a detector. Raises a `ValueError` for other models, and for images of unknown size."""
    known = {layer.name: layer for layer in getattr(model, "layers", [])}
    try:
        classes, distances, quality = known["predictions"].input  # fails for other models, too
        rows = [known[name] for name in known if name.startswith("level") and name.endswith("_classes")]
        grids = [layer.input for layer in rows]  # (batch, height, width, classes), for either data format
        image = model.inputs[0]
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        received = repr(getattr(model, "name", model))
        raise ValueError(f"model must be made by SEFCOS. Received: {received}") from error
    sizes = [tuple(x.shape[1:3]) for x in grids]
    size = size_of(image)
    if None in size:
        raise ValueError(f"model requires images of a known size. Received: images of shape {tuple(image.shape[1:])}")
    return DetectorOutputs(size, tuple(sizes), classes, distances, quality)
