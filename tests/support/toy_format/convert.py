"""Keras → a ZIP archive."""

import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.request import ExportRequest


def resolve(request: ExportRequest) -> ExportRequest:
    return request


def write(request: ExportRequest, path: Path) -> Sequence[str]:
    model = request.format.writer(request.mode)(request.inference)
    names = [[tensor.name for tensor in tensors] for tensors in (request.inference.inputs, request.inference.outputs)]
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        model.save(Path(folder) / "model.keras")
        archive.write(Path(folder) / "model.keras", "model.keras")
        archive.writestr("names.json", json.dumps(names))
    return ["The toy format was written."]


def write_floats(model: InferenceModel) -> Any:
    return model.model
