"""Calibration data: what a quantizer learns the ranges of activations from."""

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_se.export.data.image_folder import Images
from keras_se.export.data.preprocessing import check_pixels
from keras_se.export.formats import CALIBRATED
from keras_se.export.frontend.tensor_spec import ANY, Tensor, feeds_of

# An archive may be any size; of more than this, it may not take this many times its own.
LARGEST_UNPACKED, MOST_PACKED = 2**28, 50


def calibration_feeds(
    inputs: Sequence[Tensor], data: Any, argument: str = "calibration_data", *, pixels: bool = False
) -> "Feeds":
    """Arrays by input name, samples first.

    Args:
        inputs: The model's inputs.
        data: One of
            - an array of shape (samples, *input shape); for several inputs, a list of arrays in the model's order,
              or a mapping from input name to array;
            - the path of an `.npy` file with such an array, or of an `.npz` file with one array for each input;
            - the path of a folder of images, or `keras_se.export.Images`, which says more, for a model of one input;
            - an iterable (a generator, a `tf.data.Dataset`) of batches of that kind. It is read to its end.
        argument: What the data is called in errors.
        pixels: Whether it has to be pixels from 0 to 255, as preprocessing is part of the file. They are rounded to
            whole numbers.

    Raises:
        ValueError: if the data is missing, empty, unreadable, of the wrong shape, or not finite.
    """
    if pixels:  # as they are: images that were prepared already must not become whole numbers before that is seen
        given = calibration_feeds([replace(tensor, dtype=ANY) for tensor in inputs], data, argument)
        check_pixels(given, argument)
        # Resized images have values between whole numbers, which no file that takes bytes can be given.
        whole = {name: np.round(column) for name, column in given.items()}
        return Feeds(feeds_of(inputs, whole, argument), given.classes)
    names = [tensor.name for tensor in inputs]
    if data is None:
        raise ValueError(
            "calibration_data must be given for int8, int16x8 and selective: about 100 samples of what the model will "
            "see, prepared as for training, as an array (samples, height, width, channels), an .npy or .npz file, or "
            "an iterable of batches, a folder of images (--calibration). Received: None"
        )
    classes: Mapping[str, int] = getattr(data, "classes", {})
    if isinstance(data, str | os.PathLike) and os.path.isdir(data):
        data = Images(data)
    if isinstance(data, Images):
        if len(inputs) != 1:
            raise ValueError(f"A folder of images goes with a model of one input. Received: {argument} for {names}")
        data, classes = data.load(inputs[0], argument)
    elif isinstance(data, str | os.PathLike):
        data = _read(data, names, argument)
    elif not isinstance(data, np.ndarray | list | tuple | Mapping) and not hasattr(data, "__array__"):
        data = _gather(inputs, data, argument)
    feeds = feeds_of(inputs, data, argument)
    for name, column in feeds.items():
        if not np.isfinite(column).all():
            raise ValueError(f"{argument} must be finite. Received: NaN or infinity for the input {name!r}")
    return Feeds(feeds, classes)


def refuse_calibration(data: Any, modes: Sequence[str | None]) -> None:
    """Refuses calibration data where no mode uses any."""
    if data is not None and not any(mode in CALIBRATED for mode in modes):
        listed = ", ".join(map(repr, CALIBRATED))
        received = ", ".join(map(repr, modes))
        raise ValueError(
            f"calibration_data goes with quantize={listed}; verification_data with any. "
            f"Received: calibration_data with quantize={received}"
        )


class Feeds(dict[str, np.ndarray]):
    """Arrays by input name, samples first, and how many samples are of each class, if that is known."""

    def __init__(self, arrays: Mapping[str, np.ndarray], classes: Mapping[str, int] | None = None) -> None:
        super().__init__(arrays)
        self.classes = dict(classes or {})


def batches(feeds: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """The samples in batches of one size; the last is filled up from the first samples."""
    count = len(next(iter(feeds.values())))
    for start in range(0, count, size):
        rows = np.arange(start, start + size) % count
        yield {name: column[rows] for name, column in feeds.items()}


def _read(path: str | os.PathLike, names: list[str], argument: str) -> Any:
    arrays = read_arrays(path, argument)
    return next(iter(arrays.values())) if isinstance(arrays, dict) and len(names) == len(arrays) == 1 else arrays


def read_arrays(path: str | os.PathLike, argument: str) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an `.npy` file, or those of an `.npz` file by name. Nothing in it is run."""
    path = os.fspath(path)
    if not path.endswith((".npy", ".npz")) or not os.path.isfile(path):
        raise ValueError(f"{argument} must be an .npy or .npz file, or a folder, that exists. Received: {path!r}")
    try:
        with open(path, "rb") as file:  # NumPy leaves a file that it opened itself open when it fails
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            _check_unpacked(content.zip, os.path.getsize(path))
            return {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{argument} must be a readable file of numbers. Received: {path!r} ({error})") from error


def _check_unpacked(archive: zipfile.ZipFile, size: int) -> None:
    """Raises a `ValueError` for an archive that would fill the memory: images are not packed that well."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(LARGEST_UNPACKED, MOST_PACKED * size):
        raise ValueError(f"it has {size} bytes, and unpacks to {unpacked}")


def _gather(inputs: Sequence[Tensor], batches: Any, argument: str) -> dict[str, np.ndarray]:
    if not isinstance(batches, Iterable):
        raise ValueError(
            f"{argument} must be an array, a list or mapping of arrays, an .npy or .npz file, or an iterable of "
            f"batches. Received: {type(batches).__name__}"
        )
    feeds = [feeds_of(inputs, _numpy(batch, len(inputs), argument), argument) for batch in batches]
    if not feeds:
        raise ValueError(f"{argument} must have at least one batch. Received: an iterable of none")
    return {tensor.name: np.concatenate([feed[tensor.name] for feed in feeds]) for tensor in inputs}


def _numpy(batch: Any, inputs: int, argument: str) -> Any:
    if isinstance(batch, tuple) and len(batch) > inputs == 1:
        raise ValueError(
            f"{argument} must have inputs alone, as ds.map(lambda x, y: x) makes of a data set with labels. "
            f"Received: batches of {len(batch)} parts, for one input"
        )
    if isinstance(batch, Mapping):
        return {name: np.asarray(column) for name, column in batch.items()}
    return [np.asarray(column) for column in batch] if isinstance(batch, list | tuple) else np.asarray(batch)
