"""Inspects an ONNX file."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_se.export.errors import require
from keras_se.export.inspect.inspection import STANDARD, Inspection, Operation, TensorInfo, with_quantization
from keras_se.export.inspect.macs import count_macs
from keras_se.export.metadata import KEY, parsed
from keras_se.export.modes import stated_mode
from keras_se.export.onnx.graph import subgraphs
from keras_se.export.probes.sandbox import RefusedError, probe

# Names of the default domain of operators.
DEFAULT_DOMAINS = ("", "ai.onnx")
SMALL = ("int8", "uint8", "int4", "uint4")


def inspect(path: Path) -> Inspection:
    """Reads an ONNX file; its checker and its shape inference run in another process.

    Raises:
        ValueError: for another kind of file, or an invalid one.
    """
    onnx = require("onnx", "onnx")
    try:
        # Weights in other files are not read: a file from a stranger can name any path.
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors differ between its versions
        raise ValueError(f"FILE must be a whole ONNX file. Received: {str(path)!r} ({_line(error)})") from error
    graph = _Graph(onnx, model.graph, _inferred(path))
    metadata = _metadata(model)
    if document := parsed(metadata.get(KEY)):
        del metadata[KEY]
    operations = tuple(graph.operations(model.graph))
    return Inspection(
        path,
        "onnx",
        path.stat().st_size,
        stated_mode(_mode(operations, graph.constants), document),
        tuple(
            with_quantization(graph.tensor(value.name), operations, False)
            for value in model.graph.input
            if value.name not in graph.constants
        ),
        tuple(with_quantization(graph.tensor(value.name), operations, True) for value in model.graph.output),
        operations,
        opsets={entry.domain: entry.version for entry in model.opset_import},
        metadata=metadata,
        document=document,
    )


def _inferred(path: Path) -> Mapping[str, Any]:
    try:
        found = probe("onnx_checker.py", path)
    except RefusedError as refusal:
        raise ValueError(f"FILE must be a valid ONNX file. Received: {str(path)!r} (its checker {refusal})") from None
    if "problem" in found:
        raise ValueError(f"FILE must be a valid ONNX file. Received: {str(path)!r} ({_line(found['problem'])})")
    tensors: Mapping[str, Any] = found["tensors"]
    return tensors


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:300]


def _metadata(model: Any) -> dict[str, str]:
    producer = f"{model.producer_name} {model.producer_version}".strip()
    found = {"producer": producer} if producer else {}
    return found | {entry.key: entry.value for entry in model.metadata_props}


class _Graph:
    """Tensors and operations of the graphs of a model."""

    def __init__(self, onnx: Any, graph: Any, inferred: Mapping[str, Any]):
        self._onnx = onnx
        self._inferred = inferred
        self._values: dict[str, list[float]] = {}
        self._io = {value.name for value in (*graph.input, *graph.output)}
        self.constants = {tensor.name: self._constant(tensor) for tensor in _initializers(graph)}
        self._makers = {name: node for subgraph in _graphs(graph) for node in subgraph.node for name in node.output}

    def tensor(self, name: str) -> TensorInfo:
        if name in self.constants:
            return self.constants[name]
        value = self._inferred.get(name, {"dtype": 0, "shape": None})
        shape = None if value["shape"] is None else tuple(value["shape"])
        return TensorInfo(name, shape, self._dtype(value["dtype"]), io=name in self._io)

    def operations(self, graph: Any) -> Iterator[Operation]:
        for subgraph in _graphs(graph):
            for number, node in enumerate(subgraph.node):
                if node.op_type == "Constant" and node.domain in DEFAULT_DOMAINS:
                    continue  # a stored tensor
                yield self._operation(node, number)

    def _operation(self, node: Any, number: int) -> Operation:
        inputs = tuple(self._quantized(node, self.tensor(name), "DequantizeLinear") for name in node.input if name)
        outputs = tuple(self._quantized(node, self.tensor(name), "QuantizeLinear") for name in node.output if name)
        domain = STANDARD if node.domain in DEFAULT_DOMAINS else node.domain
        transposed = bool(self._attributes(node).get("transB"))
        macs = count_macs(node.op_type, inputs, outputs, transposed=transposed) if domain == STANDARD else 0
        name = node.name or next((tensor.name for tensor in outputs), f"{node.op_type} {number}")
        arithmetic = self._arithmetic(inputs) if macs != 0 else ""
        return Operation(node.op_type, name, inputs, outputs, macs, arithmetic, domain)

    def _attributes(self, node: Any) -> dict[str, int]:
        return {attribute.name: attribute.i for attribute in node.attribute}

    def _quantized(self, node: Any, tensor: TensorInfo, kind: str) -> TensorInfo:
        """A tensor with the scale that a conversion of this kind gives it, if the file stores it."""
        if node.op_type != kind or len(node.input) < 2 or tensor.name in node.input[1:]:
            return tensor
        stored = [self._values.get(name, []) for name in node.input[1:3]]
        if not stored[0]:
            return tensor
        zero_point = int(stored[1][0]) if len(stored) > 1 and stored[1] else 0
        scales = len(stored[0])
        axis = self._attributes(node).get("axis", 1) if scales > 1 else None
        return replace(tensor, scale=float(stored[0][0]), zero_point=zero_point, scales=scales, axis=axis)

    def _constant(self, tensor: Any) -> TensorInfo:
        count = math.prod(tensor.dims)
        if 0 < count <= 4096 and tensor.data_location != self._onnx.TensorProto.EXTERNAL:  # scales, not weights
            self._values[tensor.name] = self._onnx.numpy_helper.to_array(tensor).ravel().tolist()
        return TensorInfo(tensor.name, tuple(tensor.dims), self._dtype(tensor.data_type), constant=True)

    def _dtype(self, number: int) -> str:
        names = self._onnx.TensorProto.DataType
        name = names.Name(number).lower() if number in names.values() else "unknown"
        return {"float": "float32", "double": "float64", "undefined": "unknown"}.get(name, name)

    def _arithmetic(self, inputs: tuple[TensorInfo, ...]) -> str:
        """The type of arithmetic: the type before a dequantization, since runtimes fuse the two."""
        tensors = [self._before_dequantizing(tensor) for tensor in inputs]
        dtypes = {tensor.dtype for tensor in tensors if len(tensor.shape or ()) > 1} or {tensors[0].dtype}
        if dtypes <= set(SMALL):
            return "int8"
        if dtypes & set(SMALL):
            return "int16x8" if dtypes & {"int16", "uint16"} else "float32"  # widened before it is used
        return next((kind for kind in ("float32", "float16", "float64", "bfloat16") if kind in dtypes), min(dtypes))

    def _before_dequantizing(self, tensor: TensorInfo) -> TensorInfo:
        maker = self._makers.get(tensor.name)
        if maker is not None and maker.op_type == "DequantizeLinear" and maker.input:
            return replace(self.tensor(maker.input[0]), shape=tensor.shape)
        return tensor


def _graphs(graph: Any) -> list[Any]:
    """A graph, and the graphs of its branches and loops."""
    return [graph, *subgraphs(graph.node)]


def _initializers(graph: Any) -> Iterator[Any]:
    for subgraph in _graphs(graph):
        yield from subgraph.initializer
        for node in subgraph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value" and node.output:
                        attribute.t.name = node.output[0]
                        yield attribute.t


def _mode(operations: tuple[Operation, ...], constants: Mapping[str, TensorInfo]) -> str | None:
    if any(operation.kind in ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger") for operation in operations):
        return "dynamic"
    computed = {operation.arithmetic for operation in operations if operation.macs}
    for mode in ("int8", "int16x8"):
        if mode in computed:
            return mode
    weights = {tensor.dtype for tensor in constants.values() if len(tensor.shape or ()) > 1}
    return "float16" if "float16" in weights else None
