"""The table of export formats. A new format is a folder, which defines a `FORMAT` object, and a row here."""

from pathlib import Path

from keras_se.export.interfaces import Format, Runner
from keras_se.export.microcontroller import FORMAT as MICROCONTROLLER
from keras_se.export.onnx import FORMAT as ONNX
from keras_se.export.saved_model import FORMAT as SAVED_MODEL
from keras_se.export.tflite import FORMAT as TFLITE

__all__ = ["FORMATS", "Format", "Runner", "format_of", "replaceable_export"]

FORMATS: dict[str, Format] = {row.name: row for row in (SAVED_MODEL, TFLITE, MICROCONTROLLER, ONNX)}


def format_of(path: Path) -> Format:
    """The format of an existing file or folder; a `ValueError` for any other path."""
    row = next((row for row in FORMATS.values() if path.exists() and row.recognises(path)), None)
    if row is None:
        known = ", ".join(f"*{row.suffix}" for row in FORMATS.values())
        problem = "not one of these" if path.exists() else "no such file or folder"
        raise ValueError(f"The file must be one of {known}. Received: {str(path)!r} ({problem})")
    return row


def replaceable_export(folder: Path) -> str:
    """The rule for `keras_se._files`: an export replaces empty folders, and exports that nobody added to."""
    row = next((row for row in FORMATS.values() if row.recognises(folder)), None)
    if row is not None:
        return row.loss(folder)
    return "a folder that is not an export" if any(folder.iterdir()) else ""
