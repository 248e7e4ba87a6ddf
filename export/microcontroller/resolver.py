"""Finds the resolver methods that add the operations of a file."""

from keras_se.export.errors import ExportError
from keras_se.export.targets.tflite_micro_ops import METHODS
from keras_se.export.tflite.graph import FileGraph


def micro_methods(graph: FileGraph) -> list[str]:
    """The methods that add the graph's operations to a resolver, in alphabetical order of the operations.

    Raises:
        ExportError: for an operation that the runtime does not support.
    """
    names = graph.operation_counts()
    missing = [name for name in names if name not in METHODS]
    if missing:
        raise ExportError(
            f"LiteRT for Microcontrollers does not support {', '.join(missing)}, which the converted network contains."
        )
    return [METHODS[name] for name in names]
