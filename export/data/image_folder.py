"""Reads images of a folder as samples."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from keras_se._files import check_path
from keras_se._validation import non_negative_integer, positive_integer
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.weights import Preprocessing

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
SAMPLES = 100


@dataclass(frozen=True)
class Images:
    """Images of a folder, resized and prepared for the model.

    In a folder of folders, each folder is a class. Samples are then taken from the classes in turn.

    Example:

    >>> from keras_se.export import Images
    >>> data = Images("photos", samples=200, seed=1)

    Attributes:
        folder: The folder of `.jpg`, `.png`, `.bmp` and `.webp` files.
        preprocessing: A `keras_se.weights.Preprocessing`; by default that of the model (`model.preprocessing`). A model
            that scales its input itself gets pixels from 0 to 255.
        samples: The largest number of images.
        seed: The seed of the choice, if there are more.
    """

    folder: str | os.PathLike
    preprocessing: Preprocessing | None = None
    samples: int = SAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        check_path(self.folder, "folder")
        non_negative_integer("seed", self.seed)

    def load(self, tensor: Tensor, argument: str) -> tuple[np.ndarray, dict[str, int]]:
        """Samples for an input, and the number of samples of each class.

        Raises:
            ValueError: for a folder without images, an unreadable one, or unknown preprocessing.
        """
        prepared = self._preprocessing(tensor, argument)
        chosen = self._chosen(argument)
        arrays = [self._image(path, tensor, prepared) for path, _ in chosen]
        names = [name for _, name in chosen]
        return np.stack(arrays), {name: names.count(name) for name in sorted(set(names)) if name}

    def _preprocessing(self, tensor: Tensor, argument: str) -> Preprocessing:
        given = self.preprocessing or tensor.preprocessing
        if len(tensor.shape) != 3 or tensor.shape[-1] != 3 or None in tensor.shape:
            raise ValueError(
                f"A folder of images requires an input of known size and three channels. Received: {argument} = "
                f"{str(self.folder)!r} for the input {tensor.name!r} of shape {tensor.shape}"
            )
        if given is None and tensor.scaling is None:
            raise ValueError(
                "A folder of images requires the preprocessing of the model. "
                f"Received: {argument} = {str(self.folder)!r} for a model without it. Set model.preprocessing, or pass "
                "keras_se.export.Images(folder, preprocessing=keras_se.weights.Preprocessing(...)) (--prepared-as)."
            )
        height, width = (size or 0 for size in tensor.shape[:2])  # known, by the first check
        return replace(given or Preprocessing(), size=(height, width))

    def _chosen(self, argument: str) -> list[tuple[Path, str]]:
        """Files with their classes, from the classes in turn."""
        folder, samples = Path(self.folder), positive_integer("samples", self.samples)
        rng = np.random.default_rng(self.seed)
        groups = []
        try:
            for name in ("", *sorted(entry.name for entry in folder.iterdir() if entry.is_dir())):
                entries = sorted((folder / name).iterdir())
                files = [path for path in entries if path.is_file() and path.suffix.lower() in SUFFIXES]
                groups.append([(files[i], name) for i in rng.permutation(len(files))])
        except OSError as error:
            raise ValueError(
                f"{argument} must be a folder that exists and can be read. Received: {str(error.filename)!r}"
            ) from error
        turns = [group[i] for i in range(max(map(len, groups))) for group in groups if i < len(group)]
        if not turns:
            raise ValueError(
                f"{argument} must be a folder with images ({', '.join(SUFFIXES)}), or of folders of them. "
                f"Received: {str(folder)!r} without any"
            )
        return turns[:samples]

    def _image(self, path: Path, tensor: Tensor, prepared: Preprocessing) -> np.ndarray:
        pixels = prepared.load_image(path, data_format="channels_last")
        if tensor.scaling is not None:
            return pixels
        return prepared.preprocess_input(pixels, data_format="channels_last")
