"""Names in an ONNX graph that people can read, and that are the same every time.

tf2onnx numbers what it adds over the whole process, and TensorFlow repeats the network's name in front of everything.
"""

import re
from collections.abc import Iterable
from typing import Any

from keras_se.export.onnx.subgraphs import bodies, own, read, read_instead

# What a node reads besides its data, by position.
READS = dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), ("kernel", "bias"))


def rename(model: Any, layers: Iterable[str]) -> None:
    """Names nodes `layer/Operation`, tensors after the nodes that make them, kernels and biases after their readers.

    Args:
        model: An `onnx.ModelProto`, changed in place. Its inputs and outputs keep their names.
        layers: The names of the Keras model's layers.
    """
    graph, known = model.graph, set(layers)
    fixed = {value.name for value in (*graph.input, *graph.output)}
    # Graphs inside of nodes keep their names, and none of them may get a second meaning there.
    taken = fixed.union(*map(own, bodies(graph.node)))
    names = {name: name for name in fixed}
    called: set[str] = set()
    for node in graph.node:
        # What tf2onnx makes of several operations has a name of its own, but reads and makes what others named.
        tells = (node.name, *node.input[1:], *node.output, *node.input)
        layer = next(filter(None, (_layer(name, known) for name in tells)), "")
        node.name = _unique(f"{layer}/{node.op_type}".lstrip("/"), called)
        for i, tensor in enumerate(node.output):
            if tensor and tensor not in names:
                names[tensor] = _unique(node.name if i == 0 else f"{node.name}/{i}", taken)
    stored = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        for position, tensor in enumerate(node.input):
            if tensor in stored and tensor not in names and tensor.split("/")[0] not in known:
                parts = READS.get(node.op_type, ())
                part = parts[position - 1] if 0 < position <= len(parts) else f"constant_{position}"
                names[tensor] = _unique(f"{node.name}/{part}", taken)
    read_instead(graph.node, names)
    for node in graph.node:
        node.output[:] = [names.get(tensor, tensor) for tensor in node.output]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    # In the order in which they are read: tf2onnx's differs from process to process.
    place = {tensor: i for i, tensor in enumerate(dict.fromkeys(read(graph.node)))}
    graph.initializer.sort(key=lambda tensor: place.get(tensor.name, len(place)))
    del graph.value_info[:]


def _layer(name: str, known: set[str]) -> str:
    """The layer that a node's name tells of, the innermost one."""
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
