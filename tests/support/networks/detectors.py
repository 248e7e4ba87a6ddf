"""Small detectors, and scenes for them that are made of squares."""

from typing import Any

import keras
import numpy as np

from keras_se.models import SEFCOS, SEResNet

CLASSES = 3


def backbone(size: int | tuple[int, ...] | None = 64, **options: Any) -> keras.Model:
    settings: dict[str, Any] = {"block": "basic", "filters": (4, 8, 8), "r": 2, "include_top": False}
    shape = size if isinstance(size, tuple) else (size, size, 3)
    return SEResNet((1, 1, 1), input_shape=shape, **{**settings, **options})


def detector(size: int | None = 64, **options: Any) -> keras.Model:
    settings: dict[str, Any] = {"filters": 8, "strides": (8, 16), "depth": 1, "r": 2}
    return SEFCOS(backbone(size), CLASSES, **{**settings, **options})


def squares(count: int, seed: int, size: int = 64) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Images with two squares each, red, green or blue by their class, and their boxes and labels."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.2, (count, size, size, 3)).astype("float32")
    boxes, labels = [], []
    for image in images:
        sides = rng.integers(size // 4, size // 2, 2)
        corners = [
            rng.integers((i * size // 2, 0), (size // 2 * (i + 1) - side // 2, size // 2 - side // 2))
            for i, side in enumerate(sides)
        ]
        kinds = rng.integers(0, CLASSES, 2)
        found = []
        for (x, y), side, kind in zip(corners, sides, kinds, strict=True):
            right, bottom = min(x + side, size), min(y + side, size)
            image[y:bottom, x:right] = 0.1
            image[y:bottom, x:right, kind] = 0.9
            found.append((x, y, right, bottom))
        boxes.append(np.array(found, "float32"))
        labels.append(kinds)
    return images, boxes, labels
