"""The average precision of detections, as COCO defines it, by pycocotools."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from keras_se._optional import require


def cocotools() -> tuple[Any, Any]:
    """`COCO` and `COCOeval`, or an `ImportError` that names the extra that has them."""
    return require("pycocotools.coco", "demo").COCO, require("pycocotools.cocoeval", "demo").COCOeval


def average_precision(
    boxes: Sequence[np.ndarray], labels: Sequence[np.ndarray], found: Mapping[str, np.ndarray]
) -> tuple[float, float]:
    """AP50 and AP, from 0 to 1: at an IoU of 0.5, and the mean over those from 0.5 to 0.95.

    Args:
        boxes, labels: The true boxes of each image (left, top, right, bottom), and their classes.
        found: The outputs of a detector for these images: `boxes`, `scores` and `classes`.
    """
    coco, evaluation = cocotools()
    with redirect_stdout(io.StringIO()):  # it prints a lot
        truth = coco()
        truth.dataset = _dataset(boxes, labels)
        truth.createIndex()
        judge = evaluation(truth, truth.loadRes(_rows(found)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1]), float(judge.stats[0])


def _dataset(boxes: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> dict[str, Any]:
    objects = [
        (image, box, int(label))
        for image, found in enumerate(zip(boxes, labels, strict=True))
        for box, label in zip(*found, strict=True)
    ]
    return {
        "info": {},
        "images": [{"id": image} for image in range(len(boxes))],
        "categories": [{"id": label} for label in sorted({label for *_, label in objects})],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": label,
                "bbox": _sized(box),
                "area": _area(box),
                "iscrowd": 0,
            }
            for number, (image, box, label) in enumerate(objects, start=1)
        ],
    }


def _rows(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """A row for each detection: image, left, top, width, height, score, class."""
    images, count = found["scores"].shape
    boxes = found["boxes"].reshape(-1, 4)
    rows = np.column_stack(
        [
            np.repeat(np.arange(images), count),
            boxes[:, :2],
            boxes[:, 2:] - boxes[:, :2],
            found["scores"].ravel(),
            found["classes"].ravel(),
        ]
    ).astype("float64")
    # pycocotools would count a box with NaN as a match, because NaN compares with nothing. Such boxes move to 0.
    rows[~np.isfinite(rows).all(axis=1), 1:6] = 0
    return rows


def _sized(box: np.ndarray) -> list[float]:
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


def _area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2]))
