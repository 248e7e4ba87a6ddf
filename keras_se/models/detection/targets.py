"""What each location of a detector should say: the assignment of FCOS."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se._validation import positive_number
from keras_se.layers.location_boxes import centres
from keras_se.models.detection.fcos import parts

BACKGROUND = -1
# In locations, of FCOS: its images are large.
REACH = 8.0


def detection_targets(
    boxes: Sequence[Any], labels: Sequence[Any], model: keras.Model, *, reach: float | None = None, radius: float = 1.5
) -> np.ndarray:
    """What a model of `SEFCOS` should tell of images, for `fit` with `FCOSLoss`.

    A location is an object's if it lies in its box and no further than `radius` locations from the box's middle, and
    if the furthest side is within what its map reaches: `reach` locations, more for the coarsest map, and more than
    the next finer map reaches. Of several objects it is the one of the smallest box.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet, detection_targets
    >>> model = SEFCOS(SEResNet((1, 1), filters=(8, 16), input_shape=(32, 32, 3)), classes=2, strides=(8,))
    >>> y = detection_targets([[(4, 8, 20, 24)]], [[1]], model)
    >>> print(y.shape, y[0, 5])  # class, left, top, right, bottom, of the location in row 1 and column 1
    (1, 16, 5) [1.  1.  0.5 1.  1.5]

    Args:
        boxes: For each image, its objects' left, top, right and bottom edges in pixels: (objects, 4).
        labels: For each image, its objects' classes, from 0 on: (objects,).
        model: The detector: it has the maps' sizes, and the image's.
        reach: In locations of a map, how far sides can be in the objects that it has. `None` is 8, as in FCOS, or less
            in small images: so much that the coarsest map has what is larger than half of the image.
        radius: In locations of a map, along each axis; 1.5 in FCOS.

    Returns:
        Of shape (images, locations, 5), float32: the class, −1 for the background; and the distances to the left, top,
        right and bottom side in locations of the map, 0 for the background.

    Raises:
        ValueError: for boxes or labels that cannot be, a `reach` or `radius` that is no finite number greater than 0,
            or a model that is no detector of images of a known size.
    """
    radius, found = positive_number("radius", radius), parts(model)
    reach = default_reach(found.maps) if reach is None else positive_number("reach", reach)
    classes = found.classes.shape[-1]
    if len(boxes) != len(labels):
        raise ValueError(f"There must be labels for each image's boxes. Received: {len(labels)} for {len(boxes)}")
    result = np.zeros((len(boxes), sum(h * w for h, w in found.maps), 5), "float32")
    for row, one, label in zip(result, boxes, labels, strict=True):
        _assign(row, *_checked(one, label, classes), found.image, found.maps, reach, radius)
    return result


def default_reach(maps: Sequence[tuple[int, int]]) -> float:
    """Where a side can be further away than a quarter of the image, the location is the coarsest map's."""
    finer = max(maps[-2]) if len(maps) > 1 else math.inf
    return min(REACH, finer / 4)


def _checked(boxes: Any, labels: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """What is in one image, as (objects, 4) and (objects,)."""
    try:
        edges = np.asarray(boxes, "float64") if len(boxes) else np.zeros((0, 4))
    except (TypeError, ValueError):  # no numbers, or not as many for each box
        edges = np.zeros(0)
    if edges.shape[1:] != (4,) or not np.isfinite(edges).all() or (edges[:, 2:] <= edges[:, :2]).any():
        received = boxes.tolist() if isinstance(boxes, np.ndarray) else boxes
        raise ValueError(f"Boxes must be left, top, right and bottom, of some area. Received: {received}")
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(edges) or any(label not in range(classes) for label in labels.tolist()):
        raise ValueError(
            f"Each box must have a class from 0 to {classes - 1}. Received: {labels.tolist()} for {len(edges)} boxes"
        )
    return edges, labels


def _assign(
    row: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    image: tuple[int, int],
    maps: Sequence[tuple[int, int]],
    reach: float,
    radius: float,
) -> None:
    """Fills in the targets of one image."""
    row[:, 0] = BACKGROUND
    if not len(boxes):
        return
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    start, finer = 0, np.inf
    for level, (height, width) in enumerate(maps, start=1):
        x, y = centres(height, width).T[..., None]
        left, top, right, bottom = (boxes * np.tile([width / image[1], height / image[0]], 2)).T  # in locations
        distances = np.stack([x - left, y - top, right - x, bottom - y], axis=-1)  # (locations, objects, 4)
        furthest = distances.max(axis=-1)
        near = (abs(x - (left + right) / 2) <= radius) & (abs(y - (top + bottom) / 2) <= radius)
        ours = (distances.min(axis=-1) > 0) & near & (furthest > reach * height / finer)
        if level < len(maps):
            ours &= furthest <= reach
        smallest = np.where(ours, areas, np.inf).argmin(axis=1)
        found = np.flatnonzero(ours.any(axis=1))
        row[start + found, 0] = labels[smallest[found]]
        row[start + found, 1:] = distances[found, smallest[found]]
        start, finer = start + height * width, height
