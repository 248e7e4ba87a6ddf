"""The steps that all formats share: write to a staging folder, run, compare, and only then give the file its name."""

import json
import os
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from keras_se._files import check_target, published
from keras_se.export.artifact import Artifact
from keras_se.export.errors import ExportError
from keras_se.export.formats import FORMATS, replaceable_export
from keras_se.export.metadata import document_of
from keras_se.export.request import ExportRequest

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def write_verified(
    request: ExportRequest,
    path: str | os.PathLike,
    *,
    embed: bool = True,
    metadata_file: bool = False,
    overwrite: bool = False,
) -> Artifact:
    """Writes the file of a request, and publishes it if it computes what the model computes.

    The metadata contain the comparison, so they are appended after it (`embed`), or written to a file beside the file
    (`metadata_file`). The verified bytes do not change.

    Raises:
        ExportError: if the conversion fails, the file does not run, or its outputs are too far from the model's.
    """
    row, name = request.format, request.inference.model.name
    check_suffix(request, path)
    with ExitStack() as places:
        if metadata_file:
            check_target(beside(path), overwrite)
        staged = places.enter_context(published(path, overwrite, replaceable_export))
        try:
            notes = tuple(row.write(request, staged))
            tensors = row.metadata.tensors(staged)
            artifact = Artifact(staged, row.name, request.quantize, notes=notes)
            artifact = artifact.verified(request.inference, request.verification_samples)
            if request.check is not None:
                request.check(request, artifact)
        except (ExportError, ImportError, OSError):
            raise
        except Exception as error:  # converters and runtimes raise anything
            mode = f"{request.quantize} " if request.quantize else ""
            raise ExportError(f"Exporting {name} to {mode}{row.name} failed: {_reason(error)}") from error
        assert artifact.parity is not None
        if not artifact.parity.passed:
            raise ExportError(
                f"The {row.name} file of {name} does not compute what the Keras model computes: {artifact.parity}"
            )
        document = document_of(request, tensors, artifact.parity)
        seen = None if request.calibration is None else request.calibration.summary
        # The copy has no runner: that has the staged file open.
        artifact = replace(artifact, path=Path(path).absolute(), calibration=seen)
        if embed:
            row.metadata.embed(staged, json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
        if metadata_file:
            # It gets its name before the file does, so that a file is always complete.
            other = places.enter_context(published(beside(path), overwrite))
            other.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return artifact


def check_suffix(request: ExportRequest, path: str | os.PathLike) -> None:
    """Refuses a path that ends like a file of another format."""
    suffix = Path(path).suffix
    if suffix != request.format.suffix and suffix in {row.suffix for row in FORMATS.values()}:
        raise ValueError(f"The path of a {request.format.name} file must not end in {suffix}. Received: {str(path)!r}")


def beside(path: str | os.PathLike) -> Path:
    """The path of the metadata file of a file."""
    return Path(f"{os.fspath(path)}.json")


def _reason(error: Exception) -> str:
    # Keras writes the layer, then the error in bold letters, then the arguments.
    text = COLOURS.sub("", str(error)).split("Arguments received by ")[0]
    _, called, message = text.rpartition("Exception encountered when calling ")
    layer, _, message = message.partition("\n") if called else ("", "", text)
    if layer and message.strip():
        return f"{layer.strip().rstrip('.')}: {_line(message)}"
    return _line(text) or type(error).__name__


def _line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    # TensorFlow writes the traceback first, and the error last.
    return lines[-1] if lines[0].startswith("in user code") else lines[0]
