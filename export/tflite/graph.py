"""A TFLite file's graph: its tensors and operations, in the order in which they run without a delegate."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_se.export.errors import ExportError, require
from keras_se.export.probes.tflite_loader import describe

# Bytes of one value, by the schema's name of the type. Types that are packed, or have no size, are left out.
ITEM_SIZES = {
    **{"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "UINT16": 2, "FLOAT16": 2, "BFLOAT16": 2},
    **{"FLOAT32": 4, "INT32": 4, "UINT32": 4, "FLOAT64": 8, "INT64": 8, "UINT64": 8, "COMPLEX64": 8},
}


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the file.

    Attributes:
        type: The schema's name: `"INT8"`, `"FLOAT32"`.
        shape: With the batch.
        constant: Whether its values are in the file.
        scales, zero_points: Its quantization, one for each channel or one for all; empty without quantization.
        name: The signature's name of an input or output; otherwise `stored_name`.
        stored_name: The converter's name.
        shape_signature: The shape with `None` for each size that is not fixed.
        axis: The axis of the channels that scales belong to.
    """

    type: str
    shape: tuple[int, ...]
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    name: str
    stored_name: str = ""
    shape_signature: tuple[int | None, ...] = ()
    axis: int = 0

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        if self.type not in ITEM_SIZES:
            raise ExportError(f"The tensor {self.name!r} has the type {self.type}, whose size is not known.")
        return self.count * ITEM_SIZES[self.type]


@dataclass(frozen=True)
class FileOperation:
    """An operation of the file.

    Attributes:
        name: The schema's name, or the code of a custom operation.
        inputs, outputs: Indices of tensors; -1 for an input that is left out.
        domain: `""` for built-in operations, `"Flex"` or `"custom"` for others.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    domain: str = ""


@dataclass(frozen=True)
class FileGraph:
    """A graph of a file; `inputs` and `outputs` are indices of tensors."""

    tensors: tuple[FileTensor, ...]
    operations: tuple[FileOperation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def input_tensors(self) -> list[FileTensor]:
        return [self.tensors[index] for index in self.inputs]

    @property
    def output_tensors(self) -> list[FileTensor]:
        return [self.tensors[index] for index in self.outputs]

    def operation_counts(self) -> dict[str, int]:
        """How often each operation occurs, by name in alphabetical order."""
        return dict(sorted(Counter(operation.name for operation in self.operations).items()))


def read_graph(content: bytes) -> FileGraph:
    """The main graph of a file that keras_se wrote. Files from others are read in another process (`inspect`)."""
    require("ai_edge_litert.tools.flatbuffer_utils", "tflite")
    return graphs(describe(content))[0]


def graphs(description: Mapping[str, Any]) -> list[FileGraph]:
    """The graphs of a described file, the main one first."""
    signature = {index: name for index, name in description["signature"] if name}
    return [
        FileGraph(
            tuple(
                _tensor(entry, "" if number else signature.get(index, ""))
                for index, entry in enumerate(graph["tensors"])
            ),
            tuple(
                FileOperation(entry["name"], tuple(entry["inputs"]), tuple(entry["outputs"]), entry["domain"])
                for entry in graph["operations"]
            ),
            tuple(graph["inputs"]),
            tuple(graph["outputs"]),
        )
        for number, graph in enumerate(description["graphs"])
    ]


def _tensor(entry: Mapping[str, Any], name: str) -> FileTensor:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return FileTensor(name=name or entry["stored_name"], **values)
