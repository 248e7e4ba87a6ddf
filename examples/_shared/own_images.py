"""Shared by the readers of your own folders: which images are held out, and how a file is opened."""

from pathlib import Path

import numpy as np
from PIL import Image

HELD_OUT = 0.2
LEAST = 5  # images, of which one is held out


def two_parts(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the images to train on, and of those held out, a fifth."""
    held, train = np.split(rng.permutation(count), [int(HELD_OUT * count)])
    return train, held


def opened(path: Path) -> Image.Image:
    """The image in a file, or a `ValueError` if Pillow cannot read it all."""
    try:
        with Image.open(path) as image:
            return image.copy()  # reads the whole file
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"Images must be files that Pillow can read. Received: {path} ({error})") from error
