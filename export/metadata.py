"""What a file says of itself: a JSON document that travels in it.

It has no times and no paths: the same export has the same bytes. It tells how the file compares with the Keras model,
and so it is appended to what was verified, which stays as it is.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.data.image_folder import summary
from keras_se.export.formats import Format, format_of
from keras_se.export.frontend.fingerprint import source_sha256
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.verification.parity import Parity
from keras_se.version import __version__
from keras_se.weights import Preprocessing

KEY = MAKER = "keras_se"
# Bytes of a document, of anybody's file: what is longer is none of ours.
LIMIT = 4 << 20
# The packages that had a part in a file, by format.
PACKAGES = {
    "saved_model": ("keras", "tensorflow"),
    "tflite": ("keras", "tensorflow", "ai-edge-litert"),
    "microcontroller": ("keras", "tensorflow", "ai-edge-litert"),
    "onnx": ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"),
}
QUANTIZERS = {("tflite", mode): ("ai-edge-quantizer",) for mode in ("dynamic", "selective")}
# What of `Parity` a file has, and how it is rounded: Keras computes in several threads, whose last digits can differ.
SIGNIFICANT, PLACES = ("max_abs", "mean_abs", "error", "tolerance"), ("cosine", "top1_agreement")
PARITY = (*SIGNIFICANT, *PLACES, "samples", "passed", "conclusive")


@dataclass(frozen=True)
class Facts:
    """What is known of a file before it is written.

    Attributes:
        model: The Keras model as it was given.
        options: Those that it was exported with.
        preprocessing: What is done to images.
        labels: The names of the output's channels.
        in_file: Whether it is done in the file.
    """

    model: Any
    options: Mapping[str, Any]
    preprocessing: Preprocessing | None = None
    labels: Sequence[str] | None = None
    in_file: bool = True

    def document(
        self,
        inference: InferenceModel,
        format: str,
        quantize: str | None,
        tensors: Mapping[str, Any],
        calibration: Mapping[str, np.ndarray] | None,
    ) -> dict[str, Any]:
        """The document, without its parity.

        Args:
            inference: The model as it is exported.
            format, quantize: The file's.
            tensors: Its `inputs` and `outputs`, and more of the kind.
            calibration: What a quantizer saw.
        """
        return {
            "made_by": MAKER,
            "version": __version__,
            "versions": _versions(format, quantize),
            "model_name": inference.model.name,
            "format": format,
            "quantize": quantize,
            "options": dict(self.options),
            **tensors,
            "labels": None if self.labels is None else list(self.labels),
            "preprocessing": _preprocessing_facts(self, inference),
            "source_sha256": source_sha256(self.model),
            "calibration": None if calibration is None else {"sha256": _sha256(calibration), **summary(calibration)},
            "parity": None,
        }


def with_parity(document: Mapping[str, Any], parity: Parity | None) -> dict[str, Any]:
    if parity is None:
        return dict(document)
    values = parity.to_dict()
    rounded = {name: float(f"{values[name]:.1e}") for name in SIGNIFICANT if values[name] is not None}
    rounded |= {name: round(values[name], 4) for name in PLACES if values[name] is not None}
    kept = {name: rounded.get(name, values[name]) for name in values if name in PARITY}
    return {**document, "parity": kept}


def parsed(data: bytes | str | None) -> dict[str, Any] | None:
    """A document of this package's, or `None` for anything else that a file can hold."""
    if data is None or len(data) > LIMIT:
        return None
    try:
        document = json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        return None
    return document if isinstance(document, dict) and document.get("made_by") == MAKER else None


def read_metadata(path: str | os.PathLike) -> dict[str, Any] | None:
    """What an exported file says of itself.

    Example:

    >>> from keras_se.export import read_metadata
    >>> read_metadata("se_resnet18_int8.tflite")["calibration"]["samples"]  # doctest: +SKIP
    100

    Args:
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel or of sources for microcontrollers.

    Returns:
        The document: `made_by`, `version` and the `versions` of other packages; `model_name`, `format`, `quantize`,
        `options`; `inputs` and `outputs` (`name`, `shape`, `dtype`, and `scale` and `zero_point` where they are
        quantized), and the inputs of a SavedModel's further `signatures`; `labels`; `preprocessing`, and whether it is
        `in_file`; `source_sha256`, of the Keras model's configuration and weights; `calibration`, with the `sha256` of
        the data; `parity`, to two digits. `None` for a file that carries no such document, as one that something else
        made.

    Raises:
        ValueError: for a path that does not exist, or is of none of these formats.
    """
    path = Path(path)
    return parsed(carrier(format_of(path)).embedded(path))


def stated_mode(found: str | None, read: Callable[[], Mapping[str, Any] | None]) -> str | None:
    """The mode of a TFLite file that computes in 8 bits and in floats: by what it says of itself, or else as `found`.

    That is what a selective file does, and an int8 file of a detector, too.
    """
    if found not in ("int8", "selective"):
        return found
    stated = (read() or {}).get("quantize")
    return stated if stated in ("int8", "selective") else found


def carrier(row: Format) -> Any:
    """How a format carries a document: a module with `tensors`, `embed` and `embedded`."""
    return import_module(f"keras_se.export.{row.name}.metadata")


def stored_preprocessing(document: Mapping[str, Any] | None) -> Preprocessing | None:
    """What is done to images in a file, by what it says of itself; `None` where it says nothing that can be."""
    stored = (document or {}).get("preprocessing")
    if not isinstance(stored, dict) or stored.get("in_file") is not True:
        return None
    try:
        fields = ("size", "mean", "std", "interpolation", "crop", "classes")
        return Preprocessing(**{name: stored[name] for name in fields})
    except (KeyError, TypeError, ValueError):
        return None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        _refuse(number)
    return value


def _versions(format: str, quantize: str | None) -> dict[str, str]:
    return {
        package: _version(package) for package in (*PACKAGES[format], *QUANTIZERS.get((format, quantize or ""), ()))
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # tensorflow-cpu and the like have the module's name and their own
        return str(getattr(import_module(package.replace("-", "_")), "__version__", "unknown"))


def _preprocessing_facts(facts: Facts, inference: InferenceModel) -> dict[str, Any] | None:
    """How images are prepared, and whether the file does that itself."""
    known = facts.preprocessing or getattr(facts.model, "preprocessing", None)
    if isinstance(known, Preprocessing):
        scale, offset = (1 / (255 * np.asarray(known.std)), -np.asarray(known.mean) / np.asarray(known.std))
        stated = {"scale": scale.tolist(), "offset": offset.tolist(), **asdict(known)}
        return {"in_file": facts.preprocessing is not None and facts.in_file, **stated}
    scaling = inference.inputs[0].scaling if len(inference.inputs) == 1 else None
    if scaling is None:
        return None
    return {"in_file": True, "scale": scaling[0].tolist(), "offset": scaling[1].tolist()}


def _sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Of arrays with their names, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
