"""The content of a file: its tensors, its operations, and where they run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from keras_se.export.modes import MODES

Shape = tuple[int | None, ...]


# A kind of operation, and the tensors that it reads and makes.
Node = tuple[str, tuple["TensorInfo", ...], tuple["TensorInfo", ...]]


# What stands for operations of the format itself: TFLite's built-in ones, ONNX' default domain, TensorFlow's.
STANDARD = ""


FLOATS = ("float16", "float32", "float64", "bfloat16")


# What converts between floats and fewer bits, and what changes no value.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear")


MOVES = ("TRANSPOSE", "RESHAPE", "SQUEEZE", "Transpose", "Reshape", "Squeeze", "Flatten", "Identity")


CONVERSION = "a conversion"


# How many of these are followed from an end.
MOST_MOVES = 8


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a file.

    Attributes:
        name: In the file.
        shape: With `None` for a size that is not fixed; `None` as a whole where not even the rank is known.
        dtype: `"float32"`, `"int8"`, …
        scale: Of a quantized tensor: a real value is `scale * (stored - zero_point)`. The first, if it has several.
        zero_point: The stored value that is 0.
        scales: How many scales there are: 0 in a tensor that is not quantized, more than 1 with one for each channel.
        axis: The axis of the channels, where each has a scale.
        inside: Of an input or output in floats that is converted right behind: the type inside the file, whose scale
            and zero point these are.
        constant: Whether it is stored in the file.
        end: Whether it is an input or an output of the file.
    """

    name: str
    shape: Shape | None
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    scales: int = 0
    axis: int | None = None
    inside: str | None = None
    constant: bool = False
    end: bool = False

    @property
    def dynamic(self) -> bool:
        return self.shape is None or None in self.shape

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "shape": None if self.shape is None else list(self.shape),
            "dtype": self.dtype,
            "scale": self.scale,
            "zero_point": self.zero_point,
            "scales": self.scales,
            "axis": self.axis,
            "inside": self.inside,
        }


@dataclass(frozen=True)
class Operation:
    """An operation of a file.

    Attributes:
        kind: `"CONV_2D"` in TFLite, `"Conv"` in ONNX, `"Conv2D"` in a SavedModel.
        name: What it is found by in the file: the name of its first result in TFLite, the node's in the others.
        inputs: Tensors that it reads, without those left out.
        outputs: Tensors that it makes.
        macs: Multiply-accumulates of one run, `None` where a shape is not known.
        arithmetic: What they are done in: `"float32"`, `"float16"`, `"int8"`, `"int16x8"`; `"dynamic"` for 8-bit
            weights with activations that are quantized while running; `""` without any.
        domain: `""` for operations of the format itself, otherwise `"custom"`, `"Flex"`, or the ONNX domain.
        delegated: Whether LiteRT's delegate runs it; `None` where that is not known.
    """

    kind: str
    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    macs: int | None = 0
    arithmetic: str = ""
    domain: str = STANDARD
    delegated: bool | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table of operations."""

    kind: str
    count: int
    macs: int
    outside: int


@dataclass(frozen=True)
class Inspection:
    """What `inspect` returns.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: `"saved_model"`, `"tflite"` or `"onnx"`.
        size: Bytes.
        quantize: `None`, `"float16"`, `"dynamic"`, `"int8"`, `"int16x8"` or `"selective"`, as in the
            export that writes such a file.
        inputs: What the file takes, by the names that its users know.
        outputs: What it returns.
        operations: In the order of the file, those in functions and branches, too.
        partitions: How many parts of the graph LiteRT's delegate runs; `None` for another format.
        problem: Why the file's runtime does not take it, or `None`.
        opsets: Versions of the operator sets that an ONNX file names.
        metadata: What else the file says of itself.
        document: What this package wrote into it, as `read_metadata` returns it; `None` for another's file.
    """

    path: Path
    format: str
    size: int
    quantize: str | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operations: tuple[Operation, ...]
    partitions: int | None = None
    problem: str | None = None
    opsets: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run, a batch that is not fixed counted as one sample.

        As in `keras_se.complexity`: convolutions, dense layers, products of matrices, and products of a map with gates.
        """
        return sum(operation.macs or 0 for operation in self.operations)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operations whose multiply-accumulates are missing in `macs`, since a shape is not known."""
        return tuple(operation.name for operation in self.operations if operation.macs is None)

    @property
    def macs_by_arithmetic(self) -> dict[str, int]:
        """Multiply-accumulates by the type of arithmetic, the most frequent first."""
        sums: dict[str, int] = {}
        for operation in self.operations:
            if operation.macs:
                sums[operation.arithmetic] = sums.get(operation.arithmetic, 0) + operation.macs
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row for each kind of operation, the most frequent first."""
        by_kind: dict[str, list[Operation]] = {}
        for operation in self.operations:
            by_kind.setdefault(operation.kind, []).append(operation)
        rows = [
            Row(kind, len(found), sum(one.macs or 0 for one in found), sum(one.delegated is False for one in found))
            for kind, found in by_kind.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.count, row.kind)))

    @property
    def outside(self) -> tuple[Operation, ...]:
        """Operations that LiteRT's delegate leaves to slower kernels."""
        return tuple(operation for operation in self.operations if operation.delegated is False)

    @property
    def custom(self) -> tuple[Operation, ...]:
        """Operations that are not the format's own: custom and Flex ones, and those of other ONNX domains."""
        return tuple(operation for operation in self.operations if operation.domain != STANDARD)

    @property
    def floats(self) -> tuple[str, ...]:
        """Float tensors inside an int8 or int16x8 file, its inputs and outputs left out. Selective ones have some.

        In ONNX, what runtimes fuse with conversions is none: what is converted from 8 bits or to them, and the scales.
        """
        mode = MODES[self.quantize]
        if not mode.calibrated or mode.keeps_layers:
            return ()
        converted = self._converted()
        return self._names(lambda tensor: tensor.dtype in FLOATS and tensor.name not in converted)

    def _converted(self) -> set[str]:
        readers: dict[str, set[str]] = {}
        for operation in self.operations:
            for place, tensor in enumerate(operation.inputs):
                conversion = operation.kind == "QuantizeLinear" or (operation.kind == "DequantizeLinear" and place > 0)
                readers.setdefault(tensor.name, set()).add(CONVERSION if conversion else operation.kind)
        made = {one.name for node in self.operations if node.kind == "DequantizeLinear" for one in node.outputs}
        return made | {name for name, kinds in readers.items() if kinds == {CONVERSION}}

    @property
    def quantized(self) -> tuple[TensorInfo, ...]:
        """Tensors with a scale, or one for each channel, in the order of the file; its inputs and outputs left out."""
        return tuple({one.name: one for one in self._tensors() if one.scales and not one.end}.values())

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Tensors whose shape is not fixed."""
        ends = [tensor.name for tensor in (*self.inputs, *self.outputs) if tensor.dynamic]
        return tuple(dict.fromkeys((*ends, *self._names(lambda tensor: tensor.dynamic))))

    def _names(self, wanted: Callable[[TensorInfo], bool]) -> tuple[str, ...]:
        """Names of tensors of operations that are neither inputs nor outputs of the file."""
        return tuple(dict.fromkeys(tensor.name for tensor in self._tensors() if wanted(tensor) and not tensor.end))

    def _tensors(self) -> Iterator[TensorInfo]:
        for operation in self.operations:
            yield from operation.inputs
            yield from operation.outputs

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "size": self.size,
            "quantize": self.quantize,
            "inputs": [tensor.to_dict() for tensor in self.inputs],
            "outputs": [tensor.to_dict() for tensor in self.outputs],
            "quantized": [tensor.to_dict() for tensor in self.quantized],
            "operations": [vars(row) for row in self.rows],
            "macs": self.macs,
            "macs_by_arithmetic": self.macs_by_arithmetic,
            "uncounted": list(self.uncounted),
            "delegate_partitions": self.partitions,
            "outside_the_delegate": [{"kind": one.kind, "name": one.name} for one in self.outside],
            "floats_left": list(self.floats),
            "custom": [{"kind": one.kind, "name": one.name, "domain": one.domain} for one in self.custom],
            "dynamic": list(self.dynamic),
            "problem": self.problem,
            "opsets": dict(self.opsets),
            "metadata": dict(self.metadata),
            "document": self.document,
        }

    def tables(self) -> list[Table]:
        """For a terminal: what the file takes and returns, and its operations."""
        from keras_se.export.inspect.tables import tensor_table, work_table

        return [tensor_table(self), work_table(self)]

    def notes(self) -> list[str]:
        """For a terminal: a sentence for each thing that is worth knowing."""
        from keras_se.export.inspect.tables import notes

        return notes(self)

    def __str__(self) -> str:
        from keras_se.export.inspect.tables import as_text

        return as_text(self)


def with_inside(tensor: TensorInfo, nodes: Sequence[Node], output: bool) -> TensorInfo:
    """An input or output in floats with the scale and the zero point of what it is converted to, or from."""
    place = tensor
    for _ in range(MOST_MOVES):
        near = [(kind, made if output else read, read if output else made) for kind, read, made in nodes]
        near = [(kind, here, there) for kind, here, there in near if place in here and there]
        if len(near) != 1 or tensor.dtype not in FLOATS:
            break
        kind, _, there = near[0]
        place = there[0]
        if kind in CONVERSIONS and place.scales == 1:
            return replace(tensor, scale=place.scale, zero_point=place.zero_point, scales=1, inside=place.dtype)
        if kind not in MOVES:
            break
    return tensor
