"""Stores the document of a folder for microcontrollers in its manifest."""

import json
from pathlib import Path
from typing import Any

from keras_se.export.metadata import content
from keras_se.export.microcontroller.manifest import MANIFEST, read_manifest, write_manifest
from keras_se.export.tflite import metadata as tflite


def tensors(path: Path) -> dict[str, Any]:
    """The inputs and outputs of the folder's TFLite file."""
    return tflite.tensors(path / (read_manifest(path) or {})["model"]["file"])


def embed(path: Path, document: bytes) -> None:
    """Replaces the manifest by one that contains the document."""
    manifest = read_manifest(path) or {}
    (path / MANIFEST).unlink()
    facts = {name: value for name, value in manifest.items() if name not in ("made_by", "files")}
    write_manifest(path, {**json.loads(document), **facts})


def embedded(path: Path) -> bytes | None:
    return content(path / MANIFEST)
