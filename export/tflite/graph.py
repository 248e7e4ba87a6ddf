"""What a TFLite file says of itself: its tensors and operations, in the order in which they run without a delegate."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from keras_se.export.errors import ExportError, require

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
        scales, zero_points: Its quantization, one for each channel or one for all; empty for one that has none.
        name: What the file's signature calls it, for inputs and outputs; what the converter did otherwise.
    """

    type: str
    shape: tuple[int, ...]
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    name: str

    @property
    def count(self) -> int:
        """How many values it has."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def size(self) -> int:
        """Bytes in memory."""
        if self.type not in ITEM_SIZES:
            raise ExportError(f"The size of the tensor {self.name!r} of type {self.type} is not known.")
        return self.count * ITEM_SIZES[self.type]


@dataclass(frozen=True)
class FileOperation:
    """An operation of the file: the schema's name of it, and the indices of its tensors (-1 for one left out)."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class FileGraph:
    """The main graph of a file; `inputs` and `outputs` are indices of tensors."""

    tensors: tuple[FileTensor, ...]
    operations: tuple[FileOperation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def ends(self) -> dict[str, list[FileTensor]]:
        """The tensors of the `inputs` and `outputs`."""
        return {
            end: [self.tensors[index] for index in indices]
            for end, indices in (("inputs", self.inputs), ("outputs", self.outputs))
        }

    def operation_counts(self) -> dict[str, int]:
        """How often each operation occurs, by name in alphabetical order."""
        return dict(sorted(Counter(operation.name for operation in self.operations).items()))


def read_graph(content: bytes, *, signature: bool = True) -> FileGraph:
    """The main graph of a TFLite file, from its bytes; its ends named after its signature, or as tensors are."""
    schema = require("ai_edge_litert.schema_py_generated", "tflite")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    types, builtins = _names(schema.TensorType), _names(schema.BuiltinOperator)
    called = _signature_names(model) if signature else {}
    codes = [builtins[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    return FileGraph(
        tuple(
            FileTensor(
                types[tensor.type],
                _integers(tensor.shape),
                _is_constant(model.buffers, tensor),
                _scales(tensor.quantization),
                _zero_points(tensor.quantization),
                called.get(index) or tensor.name.decode(),
            )
            for index, tensor in enumerate(graph.tensors)
        ),
        tuple(
            FileOperation(codes[node.opcodeIndex], _integers(node.inputs), _integers(node.outputs))
            for node in graph.operators
        ),
        _integers(graph.inputs),
        _integers(graph.outputs),
    )


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _signature_names(model: object) -> dict[int, str]:
    signatures = getattr(model, "signatureDefs", None) or []
    return {end.tensorIndex: end.name.decode() for own in signatures[:1] for end in (*own.inputs, *own.outputs)}


def _is_constant(buffers: Sequence, tensor: object) -> bool:
    data = buffers[tensor.buffer].data  # type: ignore[attr-defined]
    return data is not None and len(data) > 0


def _integers(values: Sequence | None) -> tuple[int, ...]:
    # A list that is empty can be absent.
    return () if values is None else tuple(int(value) for value in values)


def _scales(quantization: object) -> tuple[float, ...]:
    scales = getattr(quantization, "scale", None)
    return () if scales is None else tuple(float(scale) for scale in scales)


def _zero_points(quantization: object) -> tuple[int, ...]:
    return _integers(getattr(quantization, "zeroPoint", None))
