"""Reads and edits an ONNX graph. Subgraphs, the bodies of loops and branches, count as part of their node."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_se.export.errors import require

FLOAT, INT64 = 1, 7  # values of onnx.TensorProto.DataType


def subgraphs(nodes: Iterable[Any]) -> Iterator[Any]:
    """The subgraphs of nodes at every depth."""
    for node in nodes:
        for graph in _bodies(node):
            yield graph
            yield from subgraphs(graph.node)


def defined_names(subgraph: Any) -> set[str]:
    """The tensors that a subgraph defines. All others that it reads belong to the graph around it."""
    made = {name for node in subgraph.node for name in node.output}
    return made | {value.name for value in (*subgraph.input, *subgraph.initializer)}


def names_read(nodes: Iterable[Any]) -> Iterator[str]:
    """The names of the tensors that nodes read, in order."""
    for node in nodes:
        yield from node.input
        for graph in _bodies(node):
            defined = defined_names(graph)
            names = (*names_read(graph.node), *(value.name for value in graph.output))
            yield from (name for name in names if name not in defined)


def rename_reads(nodes: Iterable[Any], names: Mapping[str, str]) -> None:
    """Makes nodes read other tensors: `names` maps the old name to the new one."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        for graph in _bodies(node):
            defined = defined_names(graph)
            outer = {name: new for name, new in names.items() if name not in defined}
            rename_reads(graph.node, outer)
            for value in graph.output:
                value.name = outer.get(value.name, value.name)


def replace_nodes(graph: Any, nodes: Iterable[Any]) -> None:
    """Replaces a graph's nodes, and drops the nodes and initializers that nothing reads."""
    used, kept = {value.name for value in graph.output}, list[Any]()
    for node in reversed(list(nodes)):
        if used.intersection(node.output):
            used.update(names_read([node]))
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name; strings are bytes."""
    value_of = require("onnx", "onnx").helper.get_attribute_value
    return {attribute.name: value_of(attribute) for attribute in node.attribute}


def tensor_types(model: Any) -> dict[str, Any]:
    """The inferred type and shape of tensors, by name, as far as they are known."""
    graph = require("onnx", "onnx").shape_inference.infer_shapes(model).graph
    return {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.input, *graph.output)}


def int_vectors(graph: Any) -> dict[str, list[int]]:
    """The initializers that are vectors of int64 (axes, shapes, paddings), by name."""
    to_array = require("onnx", "onnx").numpy_helper.to_array
    vectors = (tensor for tensor in graph.initializer if tensor.data_type == INT64 and len(tensor.dims) == 1)
    return {tensor.name: to_array(tensor).tolist() for tensor in vectors}


def float_scalars(graph: Any) -> dict[str, float]:
    """The initializers of a single float32, of any rank, by name."""
    to_array = require("onnx", "onnx").numpy_helper.to_array
    scalars = (tensor for tensor in graph.initializer if tensor.data_type == FLOAT and math.prod(tensor.dims) == 1)
    return {tensor.name: float(to_array(tensor).item()) for tensor in scalars}


def _bodies(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
