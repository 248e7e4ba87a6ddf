"""Inspects exported files from any source without running them. May import formats and probes."""

import os
from pathlib import Path

from keras_se.export.formats import format_of
from keras_se.export.inspect.inspection import Inspection, Operation, TensorInfo

__all__ = ["Inspection", "Operation", "TensorInfo", "inspect"]


def inspect(path: str | os.PathLike) -> Inspection:
    """Reads a TFLite or ONNX file, or a SavedModel, and describes its content.

    Files are read as data. Their runtimes load them in another process, so that a hostile file cannot crash this one.

    Example:

    >>> from keras_se.export.inspect import inspect
    >>> inspection = inspect("se_resnet18_int8.tflite")  # doctest: +SKIP
    >>> inspection.quantize, inspection.partitions, inspection.macs_by_arithmetic  # doctest: +SKIP
    ('int8', 1, {'int8': 37181952})

    Args:
        path: A `.tflite` or `.onnx` file, or the folder of a SavedModel.

    Returns:
        An `Inspection`; `str` of it is a report for people, and `to_dict()` one for programs.

    Raises:
        ValueError: for a file in another format, a damaged one, or one that crashes its runtime.
    """
    path = Path(path)
    found: Inspection = format_of(path).inspect(path)
    return found
