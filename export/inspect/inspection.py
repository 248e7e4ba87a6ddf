"""The content of an exported file: its tensors, its operations, and where they run."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keras_se.export.modes import MODES

Shape = tuple[int | None, ...]

# The domain of a format's own operations: TFLite's built-in ones, ONNX's default domain, TensorFlow's.
STANDARD = ""
FLOATS = ("float16", "float32", "float64", "bfloat16")
# Operations that convert between floats and fewer bits, and operations that change no value.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear")
MOVES = ("TRANSPOSE", "RESHAPE", "SQUEEZE", "Transpose", "Reshape", "Squeeze", "Flatten", "Identity")
# How many of these are followed from an input or output to its conversion.
MOST_MOVES = 8


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a file.

    Attributes:
        name: Its name in the file.
        shape: With `None` for each dynamic size; `None` as a whole if the rank is not known.
        dtype: `"float32"`, `"int8"`, …
        scale: Of a quantized tensor: a real value is `scale * (stored - zero_point)`. The first of several scales.
        zero_point: The stored value that stands for 0.
        scales: The number of scales: 0 without quantization, more than 1 with a scale for each channel.
        axis: The axis of the channels, if each has a scale.
        quantized_dtype: Of a float input or output next to a conversion: the type that it is converted to or from,
            whose scale and zero point these are.
        constant: Whether its values are in the file.
        io: Whether it is an input or an output of the file.
    """

    name: str
    shape: Shape | None
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    scales: int = 0
    axis: int | None = None
    quantized_dtype: str | None = None
    constant: bool = False
    io: bool = False

    @property
    def dynamic(self) -> bool:
        return self.shape is None or None in self.shape

    def to_dict(self) -> dict[str, Any]:
        shape = None if self.shape is None else list(self.shape)
        facts = {name: getattr(self, name) for name in ("dtype", "scale", "zero_point", "scales", "axis")}
        return {"name": self.name, "shape": shape, **facts, "inside": self.quantized_dtype}


@dataclass(frozen=True)
class Operation:
    """An operation of a file.

    Attributes:
        kind: `"CONV_2D"` in TFLite, `"Conv"` in ONNX, `"Conv2D"` in a SavedModel.
        name: The name of its first output in TFLite, the node's name in the other formats.
        inputs: The tensors that it reads, without those left out.
        outputs: The tensors that it makes.
        macs: Multiply-accumulates of one run; `None` if a shape is not known.
        arithmetic: The type of arithmetic: `"float32"`, `"float16"`, `"int8"`, `"int16x8"`; `"dynamic"` for 8-bit
            weights with activations that are quantized while running; `""` without multiply-accumulates.
        domain: `""` for the format's own operations, otherwise `"custom"`, `"Flex"`, or the ONNX domain.
        delegated: Whether LiteRT's delegate runs it; `None` if that is not known.
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
    """A line of the table of operations: how many there are of a kind, and how many LiteRT's delegate leaves out."""

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
        quantize: `None`, `"float16"`, `"dynamic"`, `"int8"`, `"int16x8"` or `"selective"`: the export option that
            writes such a file.
        inputs, outputs: Its inputs and outputs, by their public names.
        operations: In the order of the file, with those in functions and branches.
        partitions: The number of partitions that LiteRT's delegate runs; `None` in another format.
        problem: The runtime's error message if it does not load the file, or `None`.
        opsets: The versions of the operator sets in an ONNX file.
        metadata: Other metadata in the file.
        document: The document that keras_se wrote into it, as `read_metadata` returns it, or `None`.
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
        """Multiply-accumulates of one run, as `keras_se.complexity` counts them; a dynamic batch is one sample."""
        return sum(operation.macs or 0 for operation in self.operations)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Operations that `macs` leaves out because a shape is not known."""
        return tuple(operation.name for operation in self.operations if operation.macs is None)

    @property
    def macs_by_arithmetic(self) -> dict[str, int]:
        """Multiply-accumulates by the type of arithmetic, the largest sum first."""
        sums: Counter[str] = Counter()
        for operation in self.operations:
            if operation.macs:
                sums[operation.arithmetic] += operation.macs
        return dict(sums.most_common())

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row for each kind of operation, the most frequent first."""
        by_kind: dict[str, list[Operation]] = defaultdict(list)
        for operation in self.operations:
            by_kind[operation.kind].append(operation)
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
        """Operations outside the format's own domain: custom and Flex ones, and those of other ONNX domains."""
        return tuple(operation for operation in self.operations if operation.domain != STANDARD)

    @property
    def floats(self) -> tuple[str, ...]:
        """Float tensors of an int8 or int16x8 file, without its inputs and outputs.

        In ONNX, tensors that runtimes fuse with conversions are left out: results of conversions, their operands and
        their scales. Selective files have float tensors by design, so nothing is listed for them.
        """
        mode = MODES[self.quantize]
        if not mode.calibrated or mode.keeps_layers:
            return ()
        converted = self._converted()
        return self._names(lambda tensor: tensor.dtype in FLOATS and tensor.name not in converted)

    def _converted(self) -> set[str]:
        """Tensors that `DequantizeLinear` makes, or that only conversions read."""
        reads = [
            (tensor.name, one.kind == "QuantizeLinear" or (one.kind == "DequantizeLinear" and place > 0))
            for one in self.operations
            for place, tensor in enumerate(one.inputs)
        ]
        made = {one.name for node in self.operations if node.kind == "DequantizeLinear" for one in node.outputs}
        return made | ({name for name, _ in reads} - {name for name, conversion in reads if not conversion})

    @property
    def quantized(self) -> tuple[TensorInfo, ...]:
        """Tensors with scales, in the order of the file, without its inputs and outputs."""
        return tuple({one.name: one for one in self._tensors() if one.scales and not one.io}.values())

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Tensors with dynamic shapes."""
        io = [tensor.name for tensor in (*self.inputs, *self.outputs) if tensor.dynamic]
        return tuple(dict.fromkeys((*io, *self._names(lambda tensor: tensor.dynamic))))

    def _names(self, wanted: Callable[[TensorInfo], bool]) -> tuple[str, ...]:
        """The names of intermediate tensors and constants that are `wanted`."""
        return tuple(dict.fromkeys(tensor.name for tensor in self._tensors() if wanted(tensor) and not tensor.io))

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

    def __str__(self) -> str:
        from keras_se.export.inspect.tables import as_text

        return as_text(self)


def with_quantization(tensor: TensorInfo, operations: Sequence[Operation], output: bool) -> TensorInfo:
    """A float input or output with the type, the scale and the zero point that it is converted to or from."""
    place = tensor
    for _ in range(MOST_MOVES):
        if output:
            neighbours = [(one.kind, one.inputs[0]) for one in operations if place in one.outputs and one.inputs]
        else:
            neighbours = [(one.kind, one.outputs[0]) for one in operations if place in one.inputs and one.outputs]
        if len(neighbours) != 1 or tensor.dtype not in FLOATS:
            break
        kind, place = neighbours[0]
        if kind in CONVERSIONS and place.scales == 1:
            scale, zero_point = place.scale, place.zero_point
            return replace(tensor, scale=scale, zero_point=zero_point, scales=1, quantized_dtype=place.dtype)
        if kind not in MOVES:
            break
    return tensor
