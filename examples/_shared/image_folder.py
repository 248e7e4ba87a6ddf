"""Reads your own images, in one folder for each class, and splits them into two parts."""

from pathlib import Path

import numpy as np
from _shared.own_images import LEAST, two_parts

from keras_se.export.data.image_folder import SUFFIXES
from keras_se.weights import Preprocessing

Part = tuple[np.ndarray, np.ndarray]


def image_folder(folder: Path, size: tuple[int, int]) -> tuple[Part, Part, list[str]]:
    """Images and labels to train on, those held out (a fifth of each class), and the names of the classes.

    Images are resized and cropped to their middle, and have values from 0 to 1.

    Raises:
        ValueError: for a folder without two classes of five images, and for files that are not images.
    """
    prepared = Preprocessing(size=size, crop=1.0)
    files = {path: _images(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    few = [path.name for path, found in files.items() if len(found) < LEAST]
    if len(files) < 2 or few:
        raise ValueError(
            f"The folder must have two folders or more, each with the {LEAST} or more images of a class. "
            f"Received: {str(folder)!r} with {len(files)} folders, too few images in {few}"
        )
    rng = np.random.default_rng(0)
    parts: tuple[list[tuple[Path, int]], list[tuple[Path, int]]] = ([], [])
    for label, found in enumerate(files.values()):
        for part, chosen in zip(parts, two_parts(len(found), rng), strict=True):
            part.extend((found[i], label) for i in chosen)
    train, held = (_loaded(part, prepared) for part in parts)
    return train, held, [path.name for path in files]


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _loaded(files: list[tuple[Path, int]], prepared: Preprocessing) -> Part:
    pixels = np.stack([prepared.load_image(path, data_format="channels_last") for path, _ in files])
    return pixels.astype("float32") / 255, np.array([label for _, label in files])
