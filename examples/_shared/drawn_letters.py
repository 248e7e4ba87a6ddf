"""Draws pictures of letters with a seeded generator: a data set without a download.

Each picture shows a capital letter of one of many typefaces, turned, sheared and scaled. There are strokes behind it
and sometimes across it, blur and noise.
"""

import math
import string
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CLASSES = string.ascii_uppercase
SIZE = 64
# Matplotlib ships them all.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("cmb10", "cmr10", "cmss10", "cmtt10"),
)
LEAST_CONTRAST = 110.0


def letters(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of shape (count, 64, 64, 3) from 0 to 1, and their classes, with equally many of each letter."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(CLASSES))
    images = np.stack([_picture(CLASSES[label], rng) for label in labels])
    return images.astype("float32") / 255, labels


def _picture(letter: str, rng: np.random.Generator) -> np.ndarray:
    colour, background = _colours(rng)
    canvas = Image.new("RGB", (SIZE, SIZE), background)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):  # behind the letter
        draw.line(_points(rng), fill=_colour(rng), width=int(rng.integers(1, 4)))
    canvas.paste(Image.new("RGB", (SIZE, SIZE), colour), mask=_mask(letter, rng))
    for _ in range(rng.integers(0, 2)):  # across the letter
        draw.line(_points(rng), fill=_colour(rng), width=int(rng.integers(2, 6)))
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    noisy = np.asarray(canvas) + rng.normal(0, rng.uniform(0, 20), (SIZE, SIZE, 3))
    return np.clip(np.rint(noisy), 0, 255).astype("uint8")


def _mask(letter: str, rng: np.random.Generator) -> Image.Image:
    """The mask of the letter, turned and sheared around a point near the middle."""
    mask = Image.new("L", (SIZE, SIZE))
    font = _font(FONTS[rng.integers(len(FONTS))], int(rng.integers(32, 53)))
    ImageDraw.Draw(mask).text((SIZE / 2, SIZE / 2), letter, fill=255, font=font, anchor="mm")
    angle, shear = math.radians(rng.uniform(-20, 20)), rng.uniform(-0.2, 0.2)
    place = SIZE / 2 + rng.uniform(-5, 5, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]])  # from the picture back to the upright letter
    offset = SIZE / 2 - matrix @ place
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    return mask.transform((SIZE, SIZE), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two colours with enough contrast."""
    while True:
        pair = _colour(rng), _colour(rng)
        if math.dist(*pair) >= LEAST_CONTRAST:
            return pair


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def _points(rng: np.random.Generator) -> list[float]:
    return [float(value) for value in rng.uniform(0, SIZE, 4)]
