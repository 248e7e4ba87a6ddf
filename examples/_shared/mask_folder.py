"""Reads your own images with a mask for each, and splits them into two parts.

folder/images/cat.jpg    any image
folder/masks/cat.png     of the same size; the value of a pixel is its class number
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _shared.own_images import LEAST, opened, two_parts

from keras_se.export.data.image_folder import SUFFIXES

# Modes of one integer channel: black and white, gray, palette.
MODES = ("1", "L", "P")
# Attempts to split the images so that each class is in both parts.
TRIES = 100
SHOWN = 3  # names in a message

Part = tuple[np.ndarray, np.ndarray]


def mask_folder(folder: Path) -> tuple[Part, Part, list[str]]:
    """Images and masks to train on, those held out (a fifth), and the names of the classes.

    Images have values from 0 to 1. Masks have class numbers.

    Raises:
        ValueError: for a folder without images or masks, and for images, masks or classes that do not agree.
    """
    images = sorted(path for path in _inside(folder, "images") if path.suffix.lower() in SUFFIXES)
    if len(images) < LEAST:
        raise ValueError(f"images/ must have {LEAST} images or more. Received: {len(images)} in {str(folder)!r}")
    masks = {path.stem: path for path in _inside(folder, "masks") if path.suffix.lower() == ".png"}
    missing = [path.stem for path in images if path.stem not in masks]
    if missing:
        raise ValueError(
            f"masks/ must have a PNG for each image, of the same name. Received: none for {_listed(missing)}"
        )
    x = np.stack(_of_one_size([(path, _pixels(path)) for path in images])).astype("float32") / 255
    y = np.stack(_of_one_size([(path, _classes(path)) for path in (masks[image.stem] for image in images)]))
    if y.shape[1:] != x.shape[1:3]:
        raise ValueError(f"Masks must have the images' size, {x.shape[1:3]}. Received: masks of {y.shape[1:]}")
    counts = np.bincount(y.ravel())
    if len(counts) < 2 or not counts.all():
        absent = np.flatnonzero(counts == 0).tolist() if len(counts) > 1 else [1]
        raise ValueError(
            "Masks must have the numbers of two classes or more, each from 0 to the largest. "
            f"Received: numbers up to {len(counts) - 1}, but not {_listed(absent)}"
        )
    train, held = _divided(y)
    return (x[train], y[train]), (x[held], y[held]), [f"class {number}" for number in range(len(counts))]


def _divided(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images to train on, and of those held out, with each class in both."""
    classes = np.stack([np.bincount(mask.ravel(), minlength=masks.max() + 1) > 0 for mask in masks])
    for seed in range(TRIES):
        train, held = two_parts(len(masks), np.random.default_rng(seed))
        rare = np.flatnonzero(~(classes[train].any(axis=0) & classes[held].any(axis=0))).tolist()
        if not rare:
            return train, held
    raise ValueError(
        "Each class must be in so many masks that some are of images to train on and some are held out. "
        f"Received: too few masks with {_listed(rare)}"
    )


def _listed(found: Sequence[object]) -> str:
    return ", ".join(map(str, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")


def _inside(folder: Path, name: str) -> list[Path]:
    if not (folder / name).is_dir():
        raise ValueError(f"The folder must have images/ and masks/ in it. Received: {str(folder)!r} without {name}/")
    return list((folder / name).iterdir())


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(opened(path).convert("RGB"))


def _classes(path: Path) -> np.ndarray:
    mask = opened(path)
    if mask.mode not in MODES:
        raise ValueError(
            f"Masks must have one channel, of the numbers of classes (0 to 255). Received: {path.name} with the "
            f"channels {mask.mode}"
        )
    return np.asarray(mask, "uint8")


def _of_one_size(found: list[tuple[Path, np.ndarray]]) -> list[np.ndarray]:
    first, expected = found[0][0], found[0][1].shape[:2]
    for path, pixels in found:
        if pixels.shape[:2] != expected:
            raise ValueError(
                f"All images and masks must have one size, that of {first.name} is {expected}. "
                f"Received: {path.name} of {pixels.shape[:2]}"
            )
    return [pixels for _, pixels in found]
