"""What is in a TFLite file."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_se.export.inspect.inspection import STANDARD, Inspection, Operation, TensorInfo, with_inside
from keras_se.export.inspect.macs import elements, gating_macs
from keras_se.export.metadata import KEY, parsed
from keras_se.export.modes import stated_mode
from keras_se.export.probes.sandbox import RefusedError, probe
from keras_se.export.tflite.selective import is_selective
from keras_se.export.tflite.untrusted import DAMAGE, Reader, read_bytes, text

FLEX = "Flex"
# Operations at the ends of a quantized file, which say nothing of the arithmetic inside.
BOUNDARY = ("QUANTIZE", "DEQUANTIZE")
# How LiteRT begins its message on a file that is not what it says it is.
NO_MODEL = ("Could not open", "Model provided", "The model is not a valid Flatbuffer", "Error reading model")

# An operation as it is read: its kind, its domain, and its tensors.
_Node = tuple[str, str, tuple[TensorInfo, ...], tuple[TensorInfo, ...]]


def inspect(path: Path) -> Inspection:
    """Reads a TFLite file, and has LiteRT load it in a process of its own.

    Raises:
        ValueError: for what is no TFLite file, or a damaged one.
    """
    try:
        content = read_bytes(path)
        found = _Graph(Reader(content))
    except DAMAGE as error:
        raise ValueError(f"FILE must be a whole TFLite file. Received: {str(path)!r} ({error})") from error
    loaded = _loaded(path)
    return Inspection(
        path,
        "tflite",
        len(content),
        stated_mode(_mode(found), found.document),
        tuple(found.ends("Inputs")),
        tuple(found.ends("Outputs")),
        tuple(found.operations(loaded.get("inside"))),
        loaded.get("partitions"),
        loaded.get("problem"),
        metadata=found.metadata,
        document=found.document,
    )


def _loaded(path: Path) -> dict[str, Any]:
    """What LiteRT makes of a file: its delegate's partitions, or what it says against the file."""
    try:
        loaded = probe("tflite_loader.py", path)
    except RefusedError as refusal:
        raise ValueError(f"FILE must be a TFLite file for LiteRT. Received: {str(path)!r} (LiteRT {refusal})") from None
    problem = " ".join(loaded.get("problem", "").split())
    if loaded["stage"] == "load" and problem.startswith(NO_MODEL):
        raise ValueError(f"FILE must be a whole TFLite file. Received: {str(path)!r} ({problem})")
    return loaded | ({"problem": problem} if problem else {})


class _Graph:
    """The tables of a file, made into tensors and operations. Raises one of `DAMAGE` where that cannot be done."""

    def __init__(self, reader: Reader):
        model = reader.model
        self._reader = reader
        self._buffers = list(reader.each(model, "Buffers"))
        self._codes = list(reader.each(model, "OperatorCodes"))
        self._graphs = list(reader.each(model, "Subgraphs"))
        if not self._graphs:
            raise ValueError("it has no graph")
        self._tensors = [list(self._read_tensors(graph)) for graph in self._graphs]
        self._nodes = [list(self._read_nodes(number)) for number in range(len(self._graphs))]
        self._signature = next(iter(reader.each(model, "SignatureDefs")), None)
        self._names = {end: list(self._read_ends(end)) for end in ("Inputs", "Outputs")}
        self.document: dict[str, Any] | None = None
        self.metadata = self._read_metadata()

    def ends(self, end: str) -> list[TensorInfo]:
        nodes = [(kind, inputs, outputs) for kind, _, inputs, outputs in self._nodes[0]]
        return [replace(with_inside(one, nodes, end == "Outputs"), name=name) for name, one in self._names[end]]

    def operations(self, inside: list[int] | None) -> list[Operation]:
        """All operations; `inside` has the numbers of those in the main graph that the delegate runs."""
        delegated = None if inside is None else set(inside)
        found = []
        for number, nodes in enumerate(self._nodes):
            for index, (kind, domain, inputs, outputs) in enumerate(nodes):
                macs = _macs(kind, inputs, outputs) if domain == STANDARD else 0
                arithmetic = _arithmetic(inputs) if macs != 0 else ""
                runs = None if delegated is None else number == 0 and index in delegated
                name = outputs[0].name if outputs else f"{kind} {index}"
                found.append(Operation(kind, name, inputs, outputs, macs, arithmetic, domain, runs))
        return found

    @property
    def tensors(self) -> list[TensorInfo]:
        return [tensor for tensors in self._tensors for tensor in tensors]

    def _read_nodes(self, number: int) -> Iterator[_Node]:
        reader = self._reader
        for node in reader.each(self._graphs[number], "Operators"):
            code = reader.item(self._codes, node.OpcodeIndex(), "operation")
            kind, domain = self._kind(code)
            yield kind, domain, self._named(number, node, "Inputs"), self._named(number, node, "Outputs")

    def _named(self, graph: int, node: Any, field: str) -> tuple[TensorInfo, ...]:
        numbers = [number for number in self._reader.integers(node, field) if number != -1]  # -1: left out
        return tuple(self._reader.item(self._tensors[graph], number, "tensor") for number in numbers)

    def _kind(self, code: Any) -> tuple[str, str]:
        kind = self._reader.name_of("BuiltinOperator", max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        if kind != "CUSTOM":
            return kind, STANDARD
        own = text(code.CustomCode())
        return own, FLEX if own.startswith(FLEX) else "custom"

    def _read_tensors(self, graph: Any) -> Iterator[TensorInfo]:
        ends = {number for end in ("Inputs", "Outputs") for number in self._reader.integers(graph, end)}
        for number, entry in enumerate(self._reader.each(graph, "Tensors")):
            yield self._tensor(entry, number in ends)

    def _tensor(self, entry: Any, end: bool) -> TensorInfo:
        reader = self._reader
        known = reader.integers(entry, "Shape")
        signature = reader.integers(entry, "ShapeSignature") or known
        if any(size < -1 for size in (*known, *signature)):
            raise ValueError(f"a size of its tensor {text(entry.Name())!r} is negative")
        buffer = reader.item(self._buffers, entry.Buffer(), "buffer")
        scales: list[float] = []
        zero_points: list[int] = []
        quantization = entry.Quantization()
        if quantization is not None:
            scales = list(reader.each(quantization, "Scale"))
            zero_points = reader.integers(quantization, "ZeroPoint")
        return TensorInfo(
            text(entry.Name()),
            tuple(None if size == -1 else size for size in signature) if entry.HasRank() or signature else (),
            reader.name_of("TensorType", entry.Type()).lower(),
            float(scales[0]) if scales else None,
            zero_points[0] if zero_points else (0 if scales else None),
            len(scales),
            quantization.QuantizedDimension() if len(scales) > 1 else None,
            constant=buffer.DataLength() > 0 or buffer.Offset() > 1,  # past 2 GB, data lie behind the tables
            end=end,
        )

    def _read_ends(self, end: str) -> Iterator[tuple[str, TensorInfo]]:
        """Inputs or outputs, with the names in the file's first signature, where it has one."""
        reader = self._reader
        numbers = reader.integers(self._graphs[0], end)
        names: dict[int, str] = {}
        if self._signature is not None and self._signature.SubgraphIndex() == 0:
            own = list(reader.each(self._signature, end))
            names = {entry.TensorIndex(): text(entry.Name()) for entry in own}
        for index in numbers:
            tensor = reader.item(self._tensors[0], index, "tensor")
            yield names.get(index, tensor.name), tensor

    def _read_metadata(self) -> dict[str, str]:
        reader, model = self._reader, self._reader.model
        description = text(model.Description())
        found = {"description": description} if description else {}
        for entry in reader.each(model, "Metadata"):
            data = reader.data(reader.item(self._buffers, entry.Buffer(), "buffer"))
            if entry.Name() == KEY.encode() and self.document is None and (document := parsed(data)):
                self.document = document
            else:
                found[text(entry.Name())] = _readable(data)
        return found


def _readable(data: bytes) -> str:
    try:
        value = data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        value = ""
    return value if value.isprintable() and (value or not data) else f"{len(data)} bytes"


def _macs(kind: str, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]) -> int | None:
    """Multiply-accumulates of a built-in operation."""
    if kind == "MUL":
        return gating_macs(list(inputs), outputs[0]) if outputs else 0
    if kind not in _PER_RESULT or len(inputs) < 2 or not outputs:
        return 0
    # A transposed convolution reads (shape, kernel, map), and multiplies each value of the map by the kernel.
    counted = inputs[2] if kind == "TRANSPOSE_CONV" and len(inputs) > 2 else outputs[0]
    places, kernel = elements(counted.shape), inputs[1].shape
    if places is None or kernel is None or None in kernel:
        return None
    return places * _PER_RESULT[kind](tuple(size or 0 for size in kernel))


# What each value of the result costs, by the kernel's shape.
_PER_RESULT = {
    "CONV_2D": lambda kernel: math.prod(kernel[1:]),  # filters, height, width, channels of a group
    "DEPTHWISE_CONV_2D": lambda kernel: math.prod(kernel[1:3]),
    "CONV_3D": lambda kernel: math.prod(kernel[:4]),
    "TRANSPOSE_CONV": lambda kernel: math.prod(kernel[:3]),
    "FULLY_CONNECTED": lambda kernel: kernel[-1] if kernel else 0,
    "BATCH_MATMUL": lambda kernel: kernel[-2] if len(kernel) > 1 else 0,
}


def _arithmetic(inputs: tuple[TensorInfo, ...]) -> str:
    """The type of arithmetic, by the types of the map and the kernel."""
    maps = [tensor.dtype for tensor in inputs if not tensor.constant] or [inputs[0].dtype]
    kernels = [tensor.dtype for tensor in inputs if tensor.constant and tensor.dtype != "int32"]
    kernel = kernels[0] if kernels else maps[-1]
    small = ("int8", "uint8", "int4", "int2")
    if maps[-1] == "int16":
        return "int16x8"
    if kernel in small:
        return "int8" if maps[-1] in small else "dynamic"
    return maps[-1]


def _mode(graph: _Graph) -> str | None:
    """What `quantize` was, by the types of what is computed and of what is stored."""
    inner = [one for one in graph.operations(None) if one.kind not in BOUNDARY]
    results = {tensor.dtype for operation in inner for tensor in operation.outputs}
    stored = {tensor.dtype for tensor in graph.tensors}
    if is_selective(results):
        return "selective"
    if "int16" in results:
        return "int16x8"
    if results & {"int8", "uint8"}:
        return "int8"
    return "float16" if "float16" in stored else "dynamic" if "int8" in stored else None
