"""Inspects a SavedModel: its graph is read as data, since loading a SavedModel runs its code."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_se.export import metadata
from keras_se.export.errors import require
from keras_se.export.inspect.inspection import Inspection, Operation, TensorInfo
from keras_se.export.inspect.macs import count_macs
from keras_se.export.saved_model.runner import SIGNATURE

# Operations that hold, name or forward a tensor, and compute nothing.
SILENT = {"Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "VarHandleOp"}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
# The most operations of a graph with its functions inlined: a few functions that call each other twice expand to
# millions.
LIMIT = 200_000
# Files in a SavedModel with a description by its owner.
NOTES = ("assets/keras_se.json", "keras_se.json")


def inspect(path: Path) -> Inspection:
    """Reads the graph of a SavedModel's signature `serving_default`.

    Raises:
        ValueError: for another kind of folder, a damaged SavedModel, or one without that signature.
    """
    require("tensorflow", "tensorflow")
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        stored = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        if not stored.meta_graphs:
            raise ValueError("it has no graph")
        graph = _Graph(stored.meta_graphs[0])
        operations = tuple(graph.operations())
    except (DecodeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"FILE must be a whole SavedModel with the signature {SIGNATURE!r}. "
            f"Received: {str(path)!r} ({' '.join(str(error).split())[:300]})"
        ) from error
    return Inspection(
        path,
        "saved_model",
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        None,
        graph.tensors("inputs"),
        graph.tensors("outputs"),
        operations,
        metadata=_metadata(path, stored.meta_graphs[0]),
        document=metadata.read_metadata(path),
    )


def _metadata(path: Path, meta_graph: Any) -> dict[str, str]:
    found = {
        "TensorFlow": meta_graph.meta_info_def.tensorflow_version,
        "tags": ", ".join(meta_graph.meta_info_def.tags),
    }
    for name in NOTES:
        try:
            if (path / name).stat().st_size > metadata.LIMIT:
                continue
            document = json.loads((path / name).read_text())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            found |= {
                str(key): value if isinstance(value, str) else json.dumps(value) for key, value in document.items()
            }
    return {key: value for key, value in found.items() if value}


class _Graph:
    """The graph of the signature, with its functions inlined."""

    def __init__(self, meta_graph: Any):
        if SIGNATURE not in meta_graph.signature_def:
            raise ValueError(f"it has {sorted(meta_graph.signature_def) or 'no signature'}")
        self._signature = meta_graph.signature_def[SIGNATURE]
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        self._functions = {function.signature.name: function for function in meta_graph.graph_def.library.function}
        self._count = 0

    def tensors(self, role: str) -> tuple[TensorInfo, ...]:
        """The `inputs` or `outputs`, in the order of their names, as the format keeps them."""
        tensors = getattr(self._signature, role)
        return tuple(
            TensorInfo(name, sizes(tensors[name].tensor_shape), dtype_name(tensors[name].dtype), io=True)
            for name in sorted(tensors)
        )

    def operations(self) -> Iterator[Operation]:
        wanted = [tensor.name for tensor in self._signature.outputs.values()]
        return self._inlined(self._reached(wanted), {}, ())

    def _reached(self, names: list[str]) -> list[Any]:
        """The nodes that outputs depend on, in the order of the file."""
        reached: set[str] = set()
        waiting = [_node_of(name) for name in names]
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            if name not in self._nodes:
                raise ValueError(f"its graph has no node {name!r}")
            reached.add(name)
            waiting += [_node_of(source) for source in self._nodes[name].input]
        return [node for name, node in self._nodes.items() if name in reached]

    def _inlined(self, nodes: Any, known: Mapping[str, TensorInfo], calls: tuple[str, ...]) -> Iterator[Operation]:
        tensors = dict(known)
        for node in nodes:
            tensors[node.name] = _result(node, tensors)
        for node in nodes:
            self._count += 1
            if self._count > LIMIT:
                raise ValueError(f"its functions make more than {LIMIT:,} operations")
            if node.op not in SILENT | CALLS:
                yield _operation(node, tensors)
            for name in self._called(node):
                if name in calls:
                    raise ValueError(f"its function {name!r} calls itself")
                function = self._functions.get(name)
                if function is None:
                    raise ValueError(f"it has no function {name!r}")
                yield from self._inlined(function.node_def, _arguments(function), (*calls, name))

    def _called(self, node: Any) -> list[str]:
        """The functions that a node calls, as branches and loops do."""
        found = []
        for _, value in sorted(node.attr.items()):
            found += [value.func.name] if value.HasField("func") else [func.name for func in value.list.func]
        return found


def _node_of(name: str) -> str:
    return name.removeprefix("^").split(":")[0]


def _arguments(function: Any) -> dict[str, TensorInfo]:
    found = {}
    for number, argument in enumerate(function.signature.input_arg):
        shapes = function.arg_attr[number].attr["_output_shapes"].list.shape if number in function.arg_attr else ()
        shape = sizes(shapes[0]) if shapes else None
        found[argument.name] = TensorInfo(argument.name, shape, dtype_name(argument.type))
    return found


def _result(node: Any, known: Mapping[str, TensorInfo]) -> TensorInfo:
    """The first result of a node, with the shape that TensorFlow stored with it.

    A result that depends on constants alone is a constant: the factors of a batch norm are no gates.
    """
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    dtype = next((node.attr[key].type for key in ("dtype", "T", "DstT", "Tout") if key in node.attr), 0)
    sources = [known.get(_node_of(name)) for name in node.input if not name.startswith("^")]
    derived = bool(sources) and all(source is not None and source.constant for source in sources)
    constant = derived or node.op in ("Const", "ReadVariableOp")
    return TensorInfo(node.name, sizes(shapes[0]) if shapes else None, dtype_name(dtype), constant=constant)


def _operation(node: Any, tensors: Mapping[str, TensorInfo]) -> Operation:
    sources = [_node_of(name) for name in node.input if not name.startswith("^")]
    inputs = tuple(tensors.get(name, TensorInfo(name, None, "unknown")) for name in sources)
    result = tensors[node.name]
    transposed = node.attr["transpose_b"].b or node.attr["adj_y"].b
    macs = count_macs(node.op, inputs, (result,), transposed=transposed)
    return Operation(node.op, node.name, inputs, (result,), macs, result.dtype if macs != 0 else "")


def sizes(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if size.size < 0 else size.size for size in shape.dim)


def dtype_name(number: int) -> str:
    from tensorflow.core.framework.types_pb2 import DataType

    name = DataType.Name(number) if number in DataType.values() else "DT_UNKNOWN"
    kind = name.removeprefix("DT_").removesuffix("_REF").lower()
    return {"float": "float32", "double": "float64", "half": "float16", "invalid": "unknown"}.get(kind, kind)
