"""Inspects the TFLite file in a folder for microcontrollers."""

from pathlib import Path

from keras_se.export.inspect.inspection import Inspection
from keras_se.export.microcontroller.manifest import read_manifest
from keras_se.export.tflite import inspect as tflite


def inspect(path: Path) -> Inspection:
    """Reads the TFLite file that the folder's manifest names.

    Raises:
        ValueError: for a folder without such a file, or a damaged one.
    """
    try:
        name = (read_manifest(path) or {})["model"]["file"]
        file = path / Path(name).name
    except (KeyError, TypeError) as error:
        raise ValueError(f"FILE must be a folder with a manifest that names a file. Received: {str(path)!r}") from error
    return tflite.inspect(file)
