"""Preprocessing of images for published weights, and names for the predictions."""

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import keras
import numpy as np

from keras_se._optional import require
from keras_se._text import reason, shown
from keras_se._validation import number_between, numbers_between, one_of, positive_integer
from keras_se.layers.base import data_format_of

CLASSES = 1000
# Limits beyond which a value must be a mistake.
LARGEST_SIZE, MOST_CLASSES, LEAST_STD, LARGEST_MEAN, LEAST_CROP = 100_000, 10_000_000, 1e-3, 1000, 0.5
RESAMPLING = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS"}


@dataclass(frozen=True)
class Preprocessing:
    """Turns images into a network's input, and its output into names of classes.

    Attributes:
        size: Height and width at which the network was evaluated, in pixels.
        mean, std: Mean and standard deviation of each channel (red, green, blue), for values from 0 to 1.
        interpolation: The resizing method: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`.
        crop: The share of the resized image's shorter side that is kept, from 0.5 to 1.
        classes: The number of classes.

    Raises:
        ValueError: for a value out of its range.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop: float = 0.875
    classes: int = CLASSES

    def __post_init__(self) -> None:
        checked = {
            "size": numbers_between("size", self.size, 2, 1, LARGEST_SIZE, whole=True),
            "mean": numbers_between("mean", self.mean, 3, -LARGEST_MEAN, LARGEST_MEAN),
            "std": numbers_between("std", self.std, 3, LEAST_STD, 1 / LEAST_STD),
            "interpolation": one_of("interpolation", self.interpolation, RESAMPLING),
            "crop": number_between("crop", self.crop, LEAST_CROP, 1),
            "classes": number_between("classes", self.classes, 1, MOST_CLASSES, whole=True),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def preprocess_input(self, x: Any, data_format: str | None = None) -> Any:
        """Scales pixels for the network: `(x / 255 − mean) / std`.

        Args:
            x: Array or tensor of shape (…, height, width, 3), red, green and blue from 0 to 255; or (…, 3, height,
                width).
            data_format: `"channels_last"`, `"channels_first"` or `None` (the Keras setting).

        Returns:
            An array or tensor as `x`, of float32.

        Raises:
            ValueError: for another number of channels.
        """
        axis = -3 if _is_first(data_format) else -1
        x = x if hasattr(x, "shape") else keras.ops.convert_to_tensor(x)
        if len(x.shape) < -axis or x.shape[axis] not in (3, None):
            where = "channels_last" if axis == -1 else "channels_first"
            raise ValueError(
                f'x must have three channels on axis {axis} with data_format="{where}". '
                f"Received: shape {tuple(x.shape)}"
            )
        scale, offset = (part.reshape(3, 1, 1) if axis == -3 else part for part in self.scale_and_offset())
        if isinstance(x, np.ndarray):
            return (x.astype("float32") * scale + offset).astype("float32", copy=False)
        return keras.ops.cast(x, "float32") * scale + offset

    def scale_and_offset(self) -> tuple[np.ndarray, np.ndarray]:
        """The scale and offset of each channel: `preprocess_input(x) = x · scale + offset`."""
        mean, std = np.asarray(self.mean, "float64"), np.asarray(self.std, "float64")
        return (1 / (255 * std)).astype("float32"), (-mean / std).astype("float32")

    def load_image(self, path: Any, data_format: str | None = None) -> np.ndarray:
        """Reads an image file, resized and cropped, as uint8 for `preprocess_input`.

        Args:
            path: The file.
            data_format: As in `preprocess_input`: (height, width, 3) or (3, height, width) is returned.

        Raises:
            ValueError: for a file that is not an image, or one so narrow that its longer side would become too long.
            ImportError: if Pillow is missing.
        """
        require("PIL", "weights")
        from PIL import Image, ImageOps

        first = _is_first(data_format)
        try:
            with Image.open(path) as file:
                image = _in_8_bits(ImageOps.exif_transpose(file)).convert("RGB")
        except Exception as error:  # each of Pillow's formats raises other errors
            raise ValueError(
                f"The file must be an image that Pillow can read. Received: {str(path)!r} ({reason(error)})"
            ) from error
        height, width = self.size
        sizes = self._resized(image.width, image.height)
        if Image.MAX_IMAGE_PIXELS is not None and math.prod(sizes) > Image.MAX_IMAGE_PIXELS:
            raise ValueError(
                f"A resized image must have at most {Image.MAX_IMAGE_PIXELS} pixels. Received: {str(path)!r} of "
                f"{image.width}x{image.height}, which becomes {sizes[0]}x{sizes[1]}"
            )
        image = image.resize(sizes, getattr(Image.Resampling, RESAMPLING[self.interpolation]))
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        pixels = np.asarray(image.crop((left, top, left + width, top + height)))
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if first else pixels

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop. The longer side is rounded as in the evaluation of the weights."""
        least_height, least_width = (math.floor(size / self.crop) for size in self.size)
        if least_width == least_height:
            longer = int(least_width * max(width, height) / min(width, height))
            return (least_width, longer) if width < height else (longer, least_width)
        ratio = min(width / least_width, height / least_height)
        return round(width / ratio), round(height / ratio)

    def decode_predictions(self, predictions: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
        """The most likely classes of each sample, in order, as (WordNet's number, name, probability).

        Args:
            predictions: Finite array of shape (batch, 1000), for the classes of ImageNet.
            top: The number of classes.

        Raises:
            ValueError: for another shape, NaN or infinity, or a `top` that is not a positive integer.
        """
        predictions = np.asarray(keras.ops.convert_to_numpy(predictions))
        if predictions.ndim != 2 or predictions.shape[1] != CLASSES:
            raise ValueError(
                f"predictions must have the shape (batch, {CLASSES}), for the classes of ImageNet. "
                f"Received: shape {predictions.shape}"
            )
        if wrong := np.flatnonzero(~np.isfinite(predictions).all(axis=1)).tolist():
            raise ValueError(f"predictions must be finite. Received: NaN or infinity in sample {wrong[0]}")
        top, names = positive_integer("top", top), labels()
        # In float64, where the lowest value of every integer type can be negated.
        best = np.argsort(-predictions.astype("float64"), axis=1, kind="stable")[:, :top]
        return [[(*names[i], float(row[i])) for i in indices] for row, indices in zip(predictions, best, strict=True)]


# The fields' names in a `config.json`.
FIELDS = {"mean": "mean", "std": "std", "interpolation": "interpolation", "crop_pct": "crop", "num_classes": "classes"}


def _in_8_bits(image: Any) -> Any:
    """Reduces a 16-bit grey image to its upper 8 bits, as Pillow does for colour images; returns others unchanged."""
    from PIL import Image

    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype("uint8"))


def from_config(config: dict[str, Any]) -> Preprocessing:
    """The preprocessing that a `config.json` describes; missing keys have the defaults of `Preprocessing`.

    Raises:
        ValueError: for a value out of its range.
    """
    stated = {field: config[key] for key, field in FIELDS.items() if config.get(key) is not None}
    channels, *size = _input_size(config.get("input_size"))
    try:
        if channels != 3:
            raise ValueError(f"input_size must have three channels. Received: input_size={shown(config['input_size'])}")
        if config.get("crop_mode") not in (None, "center"):
            raise ValueError(f'crop_mode must be "center". Received: crop_mode={shown(config["crop_mode"])}')
        return Preprocessing(**{"size": size, **stated})
    except ValueError as error:
        raise ValueError(
            f"config.json must describe the preprocessing of images with three channels: {error}"
        ) from error


def _input_size(value: Any) -> list[Any]:
    """Channels, height and width. A value that is not a list is returned in a list, whose length is then refused."""
    if value is None:
        return [3, *Preprocessing().size]
    return value if isinstance(value, list) and value else [3, value]


def _is_first(data_format: str | None) -> bool:
    return data_format_of(data_format) == "channels_first"


@cache
def labels() -> tuple[tuple[str, str], ...]:
    """WordNet's number and the name of each class of ImageNet, in order."""
    text = files("keras_se.weights").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple((line[:9], line[10:]) for line in text.splitlines())
