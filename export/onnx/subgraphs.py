"""What the nodes of an ONNX graph read, the graphs inside of them included: bodies of loops and branches."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_se.export.errors import require


def bodies(nodes: Iterable[Any]) -> Iterator[Any]:
    """The graphs inside of nodes, also those inside of others."""
    for node in nodes:
        for body in _bodies(node):
            yield body
            yield from bodies(body.node)


def own(body: Any) -> set[str]:
    """The tensors that a graph has itself; what it reads besides them is of the graph around it."""
    made = {name for node in body.node for name in node.output}
    return made | {value.name for value in (*body.input, *body.initializer)}


def read(nodes: Iterable[Any]) -> Iterator[str]:
    """The names of all tensors that nodes read, in their order."""
    for node in nodes:
        yield from node.input
        for body in _bodies(node):
            inside = own(body)
            names = (*read(body.node), *(value.name for value in body.output))
            yield from (name for name in names if name not in inside)


def read_instead(nodes: Iterable[Any], names: Mapping[str, str]) -> None:
    """Has nodes read other tensors, by the names of those that they read before."""
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in _bodies(node):
            inside = own(body)
            outside = {name: new for name, new in names.items() if name not in inside}
            read_instead(body.node, outside)
            for value in body.output:
                value.name = outside.get(value.name, value.name)


def _bodies(node: Any) -> list[Any]:
    kinds = require("onnx", "onnx").AttributeProto
    found: list[Any] = []
    for attribute in node.attribute:
        if attribute.type == kinds.GRAPH:
            found.append(attribute.g)
        elif attribute.type == kinds.GRAPHS:
            found += attribute.graphs
    return found
