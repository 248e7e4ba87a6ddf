"""What the readers of folders of your own share: which images are held out, and how a file is opened."""

from pathlib import Path

import numpy as np
from PIL import Image

HELD_OUT = 0.2
LEAST = 5  # images: one is held out, then


def two_parts(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which of the images are to train on, and which are held out, a fifth of them."""
    held, train = np.split(rng.permutation(count), [int(HELD_OUT * count)])
    return train, held


def opened(path: Path) -> Image.Image:
    """The image in a file, or a `ValueError` if Pillow cannot read it all."""
    try:
        with Image.open(path) as image:
            return image.copy()  # all of it is read by that
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"Images must be files that Pillow can read. Received: {path} ({error})") from error
