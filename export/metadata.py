"""The metadata of a file: a JSON document that the file carries.

It has no times and no paths, so that the same export has the same bytes. It contains the comparison with the Keras
model, and so it is appended after verification.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.formats import format_of
from keras_se.export.request import ExportRequest
from keras_se.export.verification.parity import Parity
from keras_se.version import __version__
from keras_se.weights import Preprocessing

KEY = MAKER = "keras_se"
# The largest document in bytes: a longer one in a file is not from this package.
LIMIT = 4 << 20
# The fields of `Parity` in the document. They are rounded (to two significant digits, or four decimal places), since
# Keras computes in several threads and the last digits can differ.
SIGNIFICANT, PLACES = ("max_abs", "mean_abs", "error", "tolerance"), ("cosine", "top1_agreement")
PARITY = (*SIGNIFICANT, *PLACES, "samples", "passed", "conclusive")


def content(file: Path) -> bytes | None:
    """Reads a file that holds only the document; `None` if it does not exist or is larger than `LIMIT`."""
    try:
        return file.read_bytes() if file.is_file() and file.stat().st_size <= LIMIT else None
    except OSError:
        return None


def document_of(request: ExportRequest, tensors: Mapping[str, Any], parity: Parity) -> dict[str, Any]:
    """The document of the file of a request. `tensors` are its `inputs`, `outputs` and the like, by these names."""
    calibration = request.calibration
    return {
        "made_by": MAKER,
        "version": __version__,
        "versions": {package: _version(package) for package in (*request.format.packages, *request.mode.packages)},
        "model_name": request.inference.model.name,
        "format": request.format.name,
        "quantize": request.quantize,
        "options": {"optimize": request.optimize, "batch_size": request.batch_size, **request.options},
        **tensors,
        "labels": None if request.labels is None else list(request.labels),
        "preprocessing": _preprocessing_facts(request),
        "source_sha256": request.source.sha256,
        "calibration": None if calibration is None else {"sha256": calibration.sha256, **calibration.summary},
        "parity": _parity_facts(parity),
    }


def _parity_facts(parity: Parity) -> dict[str, Any]:
    values = parity.to_dict()
    rounded = {name: float(f"{values[name]:.1e}") for name in SIGNIFICANT if values[name] is not None}
    rounded |= {name: round(values[name], 4) for name in PLACES if values[name] is not None}
    return {name: rounded.get(name, values[name]) for name in values if name in PARITY}


def parsed(data: bytes | str | None) -> dict[str, Any] | None:
    """A document of this package, or `None` for any other content."""
    if data is None or len(data) > LIMIT:
        return None
    try:
        document = json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        return None
    return document if isinstance(document, dict) and document.get("made_by") == MAKER else None


def read_metadata(path: str | os.PathLike) -> dict[str, Any] | None:
    """The metadata of an exported file.

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
        the data; `parity`, rounded. `None` for a file without such a document, for instance from another tool.

    Raises:
        ValueError: for a path that does not exist, or has none of these formats.
    """
    path = Path(path)
    return parsed(format_of(path).metadata.embedded(path))


def stored_preprocessing(document: Mapping[str, Any] | None) -> Preprocessing | None:
    """The preprocessing in a file, by its document; `None` if the document states none, or an invalid one."""
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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # tensorflow-cpu, for instance, has the module tensorflow
        return str(getattr(import_module(package.replace("-", "_")), "__version__", "unknown"))


def _preprocessing_facts(request: ExportRequest) -> dict[str, Any] | None:
    """The preprocessing of images, and whether it is in the file."""
    known = request.preprocessing or getattr(request.source.model, "preprocessing", None)
    if isinstance(known, Preprocessing):
        scale, offset = (1 / (255 * np.asarray(known.std)), -np.asarray(known.mean) / np.asarray(known.std))
        stated = {"scale": scale.tolist(), "offset": offset.tolist(), **asdict(known)}
        return {"in_file": request.preprocessing is not None and request.preprocesses, **stated}
    inputs = request.inference.inputs
    scaling = inputs[0].scaling if len(inputs) == 1 else None
    if scaling is None:
        return None
    return {"in_file": True, "scale": scaling[0].tolist(), "offset": scaling[1].tolist()}
