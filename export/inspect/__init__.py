"""What is in an exported file, whoever wrote it: without running it, and without trusting it."""

import os
from pathlib import Path

from keras_se.export.formats import format_of
from keras_se.export.inspect.inspection import Inspection, Operation, TensorInfo

__all__ = ["Inspection", "Operation", "TensorInfo", "inspect"]


def inspect(path: str | os.PathLike) -> Inspection:
    """Reads a TFLite or ONNX file, or a SavedModel, and tells what is in it.

    Files are read as data. What their runtimes have to say is asked for in another process, which a file that is made
    for it cannot take this one down with.

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
        ValueError: for a file that is of none of these formats, damaged, or crashes its runtime.
    """
    path = Path(path)
    found: Inspection = format_of(path).inspect(path)
    return found
