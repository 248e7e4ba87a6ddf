"""Training targets of a detector: FCOS' assignment of objects to locations."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se._validation import positive_number
from keras_se.layers.location_boxes import centres
from keras_se.models.detection.fcos import detector_outputs

BACKGROUND = -1
# The reach of FCOS, in locations of a map, for large images.
REACH = 8.0


def detection_targets(
    boxes: Sequence[Any], labels: Sequence[Any], model: keras.Model, *, reach: float | None = None, radius: float = 1.5
) -> np.ndarray:
    """The targets of a model made by `SEFCOS`, for `fit` with `FCOSLoss`.

    A location is assigned to an object if it lies in the object's box, at most `radius` locations from the middle, and
    if the distance to the furthest side suits the map: at most `reach` locations, and more than the next finer map
    reaches. The coarsest map has no upper limit. Among several objects, the one with the smallest box is chosen.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet, detection_targets
    >>> model = SEFCOS(SEResNet((1, 1), filters=(8, 16), input_shape=(32, 32, 3)), classes=2, strides=(8,))
    >>> y = detection_targets([[(4, 8, 20, 24)]], [[1]], model)
    >>> print(y.shape, y[0, 5])  # class, left, top, right, bottom, of the location in row 1 and column 1
    (1, 16, 5) [1.  1.  0.5 1.  1.5]

    Args:
        boxes: For each image, the left, top, right and bottom edges of its objects in pixels: (objects, 4).
        labels: For each image, the classes of its objects, integers from 0: (objects,).
        model: The detector, which determines the sizes of the image and of the maps.
        reach: The largest distance of a side, in locations of a map. `None` is 8, as in FCOS, or less in small images,
            such that objects larger than half of the image belong to the coarsest map.
        radius: The largest distance from the middle of a box along each axis, in locations of a map; 1.5 in FCOS.

    Returns:
        Array (images, locations, 5), float32: the class, −1 for the background; and the distances to the left, top,
        right and bottom side in locations of the map, 0 for the background.

    Raises:
        ValueError: for invalid boxes or labels, a `reach` or `radius` that is not a finite number greater than 0, or a
            model other than a detector for images of a known size.
    """
    radius, outputs = positive_number("radius", radius), detector_outputs(model)
    reach = default_reach(outputs.maps) if reach is None else positive_number("reach", reach)
    classes = outputs.classes.shape[-1]
    if len(boxes) != len(labels):
        raise ValueError(
            "boxes and labels must have an entry for each image. "
            f"Received: boxes for {len(boxes)} images, labels for {len(labels)}"
        )
    targets = np.zeros((len(boxes), sum(h * w for h, w in outputs.maps), 5), "float32")
    for target, edges, label in zip(targets, boxes, labels, strict=True):
        _assign(target, *_checked(edges, label, classes), outputs.image, outputs.maps, reach, radius)
    return targets


def default_reach(maps: Sequence[tuple[int, int]]) -> float:
    """FCOS' reach, or less: a distance of more than a quarter of the image belongs to the coarsest map."""
    finer = max(maps[-2]) if len(maps) > 1 else math.inf
    return min(REACH, finer / 4)


def _checked(boxes: Any, labels: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and labels of one image, as arrays (objects, 4) and (objects,)."""
    try:
        edges = np.asarray(boxes, "float64") if len(boxes) else np.zeros((0, 4))
    except (TypeError, ValueError):  # not numbers, or not four for each box
        edges = np.zeros(0)
    if edges.shape[1:] != (4,) or not np.isfinite(edges).all() or (edges[:, 2:] <= edges[:, :2]).any():
        received = boxes.tolist() if isinstance(boxes, np.ndarray) else boxes
        raise ValueError(
            f"boxes must be (left, top, right, bottom), with left < right and top < bottom. Received: {received}"
        )
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(edges) or any(label not in range(classes) for label in labels.tolist()):
        raise ValueError(
            f"Each box must have a class from 0 to {classes - 1}. Received: {labels.tolist()} for {len(edges)} boxes"
        )
    return edges, labels


def _assign(
    target: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    image: tuple[int, int],
    maps: Sequence[tuple[int, int]],
    reach: float,
    radius: float,
) -> None:
    """Fills in the targets of one image, (locations, 5)."""
    target[:, 0] = BACKGROUND
    if not len(boxes):
        return
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    start, finer = 0, np.inf
    for level, (height, width) in enumerate(maps, start=1):
        x, y = centres(height, width).T[..., None]  # (locations, 1) each
        left, top, right, bottom = (boxes * np.tile([width / image[1], height / image[0]], 2)).T  # in locations
        distances = np.stack([x - left, y - top, right - x, bottom - y], axis=-1)  # (locations, objects, 4)
        furthest = distances.max(axis=-1)
        near = (abs(x - (left + right) / 2) <= radius) & (abs(y - (top + bottom) / 2) <= radius)
        assigned = (distances.min(axis=-1) > 0) & near & (furthest > reach * height / finer)  # (locations, objects)
        if level < len(maps):
            assigned &= furthest <= reach
        smallest = np.where(assigned, areas, np.inf).argmin(axis=1)
        rows = np.flatnonzero(assigned.any(axis=1))
        target[start + rows, 0] = labels[smallest[rows]]
        target[start + rows, 1:] = distances[rows, smallest[rows]]
        start, finer = start + height * width, height
