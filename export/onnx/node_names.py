"""Names the nodes and tensors of an ONNX graph after layers: readable, and the same in every process.

tf2onnx numbers added nodes over the whole process, and TensorFlow prefixes every name with the network's.
"""

import re
from collections.abc import Iterable
from typing import Any

from keras_se.export.onnx.graph import defined_names, names_read, rename_reads, subgraphs

# The parameters of an operation: its inputs from the second on.
PARAMETERS = dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), ("kernel", "bias"))


def rename_by_layer(model: Any, layers: Iterable[str]) -> None:
    """Names nodes `layer/Operation`, tensors after the node that makes them, and parameters after their reader.

    Args:
        model: An `onnx.ModelProto`, changed in place. Its inputs and outputs keep their names.
        layers: The names of the Keras model's layers.
    """
    graph, known = model.graph, set(layers)
    fixed = {value.name for value in (*graph.input, *graph.output)}
    # Tensors of subgraphs keep their names, and none of these may get a second meaning.
    taken = fixed.union(*map(defined_names, subgraphs(graph.node)))
    names = {name: name for name in fixed}
    node_names: set[str] = set()
    for node in graph.node:
        # A node that tf2onnx fused of several has a name of its own; its tensors still carry the layer's.
        candidates = (node.name, *node.input[1:], *node.output, *node.input)
        layer = next(filter(None, (_layer(name, known) for name in candidates)), "")
        node.name = _unique(f"{layer}/{node.op_type}".lstrip("/"), node_names)
        for i, tensor in enumerate(node.output):
            if tensor and tensor not in names:
                names[tensor] = _unique(node.name if i == 0 else f"{node.name}/{i}", taken)
    stored = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        for i, tensor in enumerate(node.input):
            if tensor in stored and tensor not in names and tensor.split("/")[0] not in known:
                parameter = dict(enumerate(PARAMETERS.get(node.op_type, ()), 1)).get(i, f"constant_{i}")
                names[tensor] = _unique(f"{node.name}/{parameter}", taken)
    rename_reads(graph.node, names)
    for node in graph.node:
        node.output[:] = [names.get(tensor, tensor) for tensor in node.output]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    # In the order in which they are read: tf2onnx's order differs between processes.
    order = {tensor: i for i, tensor in enumerate(dict.fromkeys(names_read(graph.node)))}
    graph.initializer.sort(key=lambda tensor: order.get(tensor.name, len(order)))
    del graph.value_info[:]


def _layer(name: str, known: set[str]) -> str:
    """The innermost layer in the path of a node or tensor."""
    for part in reversed(name.split("/")):
        # TensorFlow numbers scopes: the layer `conv` becomes `conv_1`.
        for candidate in (part, re.sub(r"_\d+$", "", part)):
            if candidate in known:
                return candidate
    return ""


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
