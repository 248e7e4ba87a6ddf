"""Further signatures of a SavedModel, which take pixels or the bytes of image files."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from keras_se.export.artifact import Artifact
from keras_se.export.data.preprocessing import image_shape
from keras_se.export.errors import ExportError, require
from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import random_feeds
from keras_se.export.request import ExportRequest
from keras_se.export.saved_model.image_ops import load_image
from keras_se.export.verification.match_detections import comparable
from keras_se.export.verification.parity import SAMPLES, compare, rounded_kernel
from keras_se.weights import Preprocessing

SIGNATURES = ("uint8", "encoded")


def names_of(signatures: Any) -> tuple[str, ...]:
    """The distinct names in the argument `signatures`; a `ValueError` for an invalid one."""
    names = (signatures,) if isinstance(signatures, str) else signatures
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name in SIGNATURES for name in names):
        allowed = " or ".join(f'"{name}"' for name in SIGNATURES)
        raise ValueError(f"signatures must be {allowed}, or a list of them. Received: signatures={signatures!r}")
    return tuple(dict.fromkeys(names))


def serving_of(model: Any, names: Sequence[str], prepared: Preprocessing | None) -> "Serving | None":
    """The signatures of a model, or `None` without `names`; a `ValueError` if the preprocessing is not known."""
    if not names:
        return None
    known = prepared or getattr(model, "preprocessing", None)
    if not isinstance(known, Preprocessing):
        raise ValueError(
            f"signatures requires the preprocessing of images. Received: signatures={tuple(names)} for {model.name!r}. "
            "Set model.preprocessing, or pass preprocessing=keras_se.weights.Preprocessing(...)."
        )
    (height, width), channels_first = image_shape(model)
    sized = replace(known, size=(height or known.size[0], width or known.size[1]))
    return Serving(InferenceModel(model), tuple(names), sized, channels_first)


@dataclass(frozen=True)
class Serving:
    """Makes and verifies signatures.

    Attributes:
        inference: The original model, which takes prepared images of three channels.
        names: The requested names in `SIGNATURES`.
        prepared: The preprocessing, with the model's image size if it is fixed.
        channels_first: The layout of the model's images. Signatures take channels last.
    """

    inference: InferenceModel
    names: tuple[str, ...]
    prepared: Preprocessing
    channels_first: bool

    def functions(self, serve: Any, batch_size: int | None) -> dict[str, Any]:
        """Traced functions by signature name. All of them call `serve`, so that the network is stored once."""
        tf = require("tensorflow", "tensorflow")
        (image,) = self.inference.inputs
        sizes = (*image.shape[1:], 3) if self.channels_first else image.shape
        scale, offset = self.prepared.scale_and_offset()

        def from_pixels(pixels: Any) -> Any:
            x = tf.cast(pixels, tf.float32) * scale + offset
            x = tf.transpose(x, (0, 3, 1, 2)) if self.channels_first else x
            return serve(**{image.name: tf.cast(x, image.dtype)})

        def from_bytes(encoded: Any) -> Any:
            spec = tf.TensorSpec((*self.prepared.size, 3), tf.float32)
            return from_pixels(tf.map_fn(lambda x: load_image(x, self.prepared), encoded, fn_output_signature=spec))

        specs: dict[str, tuple[Callable[[Any], Any], Any]] = {
            "uint8": (from_pixels, tf.TensorSpec((batch_size, *sizes), tf.uint8, name=image.name)),
            "encoded": (from_bytes, tf.TensorSpec((batch_size,), tf.string, name=f"{image.name}_bytes")),
        }
        return {
            f"serving_{name}": tf.function(
                specs[name][0], input_signature=[specs[name][1]], autograph=False
            ).get_concrete_function()
            for name in self.names
        }

    def feeds(self, pixels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Prepares `pixels`, which have the model's layout, as the model takes them."""
        data_format = "channels_first" if self.channels_first else "channels_last"
        return {name: self.prepared.preprocess_input(column, data_format) for name, column in pixels.items()}

    def check(self, request: ExportRequest, artifact: Artifact) -> None:
        """Runs each signature of the file; an `ExportError` if its outputs are not those of the model."""
        pixels = self._pixels(request.verification_samples)
        expected = self._expected(pixels)
        rounded = self._expected(pixels, lambda kernel: rounded_kernel(kernel, None))
        for name in self.names:
            function = artifact.runner.signatures[f"serving_{name}"]  # type: ignore[attr-defined]
            images = pixels if name == "uint8" else self._files(pixels)
            outputs = run_in_batches({"images": images}, partial(_run, function), request.batch_size)
            reference, found, other = comparable(self.inference, expected, outputs, rounded)
            parity = compare(reference, found, quantize=None, rounded=other)
            if not parity.passed:
                raise ExportError(
                    f"The signature serving_{name} of {self.inference.model.name} does not compute what the Keras "
                    f"model computes: {parity}"
                )

    def _expected(self, pixels: np.ndarray, rounded: Any = None) -> dict[str, np.ndarray]:
        (image,) = self.inference.inputs
        turned = pixels.transpose(0, 3, 1, 2) if self.channels_first else pixels
        return self.inference.reference(self.feeds({image.name: turned}), rounded)

    def _pixels(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """The verification data as pixels, or random pixels if the images of the signatures have another size."""
        (image,) = self.inference.inputs
        scale, offset = self.prepared.scale_and_offset()
        column = feeds[image.name].transpose(0, 2, 3, 1) if self.channels_first else feeds[image.name]
        if column.shape[1:3] == self.prepared.size:
            return np.clip(np.round((column - offset) / scale), 0, 255).astype("uint8")
        tensor = replace(image, shape=(*self.prepared.size, 3), dtype="uint8", scaling=(scale, offset))
        return random_feeds([tensor], SAMPLES)[image.name]

    def _files(self, pixels: np.ndarray) -> np.ndarray:
        """PNG files with a border that the crop removes, so that nothing is resized."""
        tf = require("tensorflow", "tensorflow")
        borders = []
        for size in self.prepared.size:
            border = math.floor(size / self.prepared.crop) - size
            borders.append((round(border / 2), border - round(border / 2)))
        framed = np.pad(pixels, [(0, 0), *borders, (0, 0)], mode="edge")
        return np.array([tf.io.encode_png(image).numpy() for image in framed], dtype=object)


def _run(function: Any, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    tf = require("tensorflow", "tensorflow")
    (name,) = function.structured_input_signature[1]
    return {key: value.numpy() for key, value in function(**{name: tf.constant(batch["images"])}).items()}
