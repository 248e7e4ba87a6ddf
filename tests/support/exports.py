"""Exported files that are made once per run, and read by the tests of every worker."""

import fcntl
import pickle
from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest

from keras_se.export import FORMATS, Artifact, ExportError
from tests.support.networks import sample

CALIBRATED = ("int8", "int16x8", "selective")


def exporter(factory: pytest.TempPathFactory) -> Callable[..., Artifact]:
    """Returns the artifact of a network of the table, for a format, a mode and options. No test may change its file."""
    # Workers of pytest-xdist have a folder each in that of the run.
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "exports"

    def export_once(name: str, format: str, quantize: str | None = None, /, **options: object) -> Artifact:
        key = repr((name, format, quantize, sorted(options.items())))
        folder = shared / f"{name}_{format}_{quantize}_{sha256(key.encode()).hexdigest()[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = folder / "artifact.pickle"
            if not made.exists():
                made.write_bytes(pickle.dumps(_convert(name, format, quantize, folder, options)))
        # Another artifact each time, of the same file: once it has run, it holds its runtime, which fills the memory.
        found = pickle.loads(made.read_bytes())
        if isinstance(found, ExportError):
            raise found
        return Artifact(**found)

    return export_once


def _convert(name: str, format: str, quantize: str | None, folder: Path, options: dict) -> dict | ExportError:
    """The fields of an artifact, or the error of a conversion that fails."""
    network = sample(name)
    more = {"quantize": quantize} if quantize else {}
    if quantize in CALIBRATED:
        more["calibration_data"] = network.data
    path = folder / f"model{FORMATS[format].suffix}"
    try:
        artifact = FORMATS[format].convert(network.model, path, **options, **more)
    except ExportError as error:
        return ExportError(str(error))
    values = {field.name: getattr(artifact, field.name) for field in fields(artifact)}
    # What packs outputs as the model has them belongs to the model. Outputs here are one array, or go by name.
    return {key: None if callable(value) else value for key, value in values.items()}
