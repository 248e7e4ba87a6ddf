"""What is done to an image before a network sees it, and what its answer means, as the weights' publisher has it."""

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import keras
import numpy as np

from keras_se.layers.gated import positive_integer
from keras_se.weights.messages import reason, shown

CLASSES = 1000
# Above and below are mistakes: the largest networks have some 20 000 classes.
LARGEST_SIZE, MOST_CLASSES, LEAST_STD, LEAST_CROP = 10_000, 100_000, 1e-3, 0.5
RESAMPLING = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS"}


@dataclass(frozen=True)
class Preprocessing:
    """From an image to a network's input, and from its output to names.

    Attributes:
        size: Height and width that the network was evaluated at, in pixels.
        mean, std: Of each channel (red, green, blue), for values from 0 to 1.
        interpolation: How images are resized: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`.
        crop: The share of the resized image's shorter side that is kept, from 0.5 to 1.
        classes: How many the network tells apart.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop: float = 0.875
    classes: int = CLASSES

    def preprocess_input(self, x: Any) -> Any:
        """Pixels as the network wants them: `(x / 255 − mean) / std`.

        Args:
            x: Array or tensor of shape (…, height, width, 3), red, green and blue from 0 to 255.

        Returns:
            The same kind, of float32.
        """
        scale, offset = self.scale_and_offset()
        if isinstance(x, np.ndarray):
            return (x.astype("float32") * scale + offset).astype("float32")
        return keras.ops.cast(x, "float32") * scale + offset

    def scale_and_offset(self) -> tuple[np.ndarray, np.ndarray]:
        """`preprocess_input(x) = x · scale + offset`, a number of each for each channel."""
        mean, std = np.asarray(self.mean, "float64"), np.asarray(self.std, "float64")
        return (1 / (255 * std)).astype("float32"), (-mean / std).astype("float32")

    def load_image(self, path: Any) -> np.ndarray:
        """An image file, resized and cropped: (height, width, 3) of uint8, for `preprocess_input`.

        Raises:
            ValueError: for a file that is no image.
            ImportError: without Pillow.
        """
        try:
            from PIL import Image, ImageOps
        except ImportError as error:
            raise ImportError("Reading images needs Pillow: pip install 'keras-se[weights]'") from error
        try:
            with Image.open(path) as file:
                image = ImageOps.exif_transpose(file).convert("RGB")
        except Exception as error:  # each of Pillow's formats has errors of its own
            raise ValueError(
                f"An image file that Pillow can read was expected. Received: {str(path)!r} ({reason(error)})"
            ) from error
        height, width = self.size
        sizes = self._resized(image.width, image.height)
        image = image.resize(sizes, getattr(Image.Resampling, RESAMPLING[self.interpolation]))
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        return np.asarray(image.crop((left, top, left + width, top + height)))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop. The longer side is rounded as where the weights were evaluated."""
        least_height, least_width = (math.floor(size / self.crop) for size in self.size)
        if least_width == least_height:
            longer = int(least_width * max(width, height) / min(width, height))
            return (least_width, longer) if width < height else (longer, least_width)
        ratio = min(width / least_width, height / least_height)
        return round(width / ratio), round(height / ratio)

    def decode_predictions(self, predictions: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
        """The likeliest classes of each sample: (WordNet's number, name, probability), the likeliest first.

        Args:
            predictions: Array of shape (batch, 1000): the classes of ImageNet.
            top: How many of them.

        Raises:
            ValueError: for another shape, as that of a network of other classes, or `top` that is no number of classes.
        """
        predictions = np.asarray(keras.ops.convert_to_numpy(predictions))
        if predictions.ndim != 2 or predictions.shape[1] != CLASSES:
            raise ValueError(
                f"predictions must have the shape (batch, {CLASSES}), for the classes of ImageNet. "
                f"Received: shape {predictions.shape}"
            )
        top, names = positive_integer("top", top), labels()
        # In float64, where the least value of every integer type has a negative.
        best = np.argsort(-predictions.astype("float64"), axis=1, kind="stable")[:, :top]
        return [[(*names[i], float(row[i])) for i in indices] for row, indices in zip(predictions, best, strict=True)]


def from_config(config: dict[str, Any]) -> Preprocessing:
    """What a `config.json` says, with the field's usual values where it says nothing.

    Raises:
        ValueError: for values that no image can be prepared by.
    """
    usual = Preprocessing()
    channels, *size = _numbers(config, "input_size", (3, *usual.size), 3)
    mean, std = _numbers(config, "mean", usual.mean, 3), _numbers(config, "std", usual.std, 3)
    (crop,) = _numbers(config, "crop_pct", (usual.crop,), 1)
    (classes,) = _numbers(config, "num_classes", (usual.classes,), 1)
    interpolation = config.get("interpolation", usual.interpolation)
    limits = ((size, LARGEST_SIZE), ([classes], MOST_CLASSES))
    whole = all(1 <= v <= most and float(v).is_integer() for values, most in limits for v in values)
    sane = min(std) >= LEAST_STD and max(*std, *map(abs, mean)) <= 1 / LEAST_STD and LEAST_CROP <= crop <= 1
    if not whole or not sane or channels != 3 or interpolation not in list(RESAMPLING):
        keys = ("input_size", "mean", "std", "crop_pct", "num_classes", "interpolation")
        stated = ", ".join(f"{key}={shown(config.get(key))}" for key in keys)
        raise ValueError(f"config.json must say how an image of three channels is prepared. Received: {stated}")
    height, width = (int(value) for value in size)
    return Preprocessing((height, width), mean, std, interpolation, crop, int(classes))


def _numbers(config: dict[str, Any], key: str, usual: tuple[float, ...], count: int) -> tuple[float, ...]:
    value = config.get(key)
    values = usual if value is None else tuple(value) if isinstance(value, list) else (value,)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < math.inf for v in values)
    if len(values) != count or not numbers:
        wanted = f"{count} numbers" if count > 1 else "a number"
        raise ValueError(f"{key} in config.json must be {wanted}. Received: {key}={shown(value)}")
    return values


@cache
def labels() -> tuple[tuple[str, str], ...]:
    """WordNet's number and a name for each class of ImageNet, in their order."""
    text = files("keras_se.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple((line[:9], line[10:]) for line in text.splitlines())
