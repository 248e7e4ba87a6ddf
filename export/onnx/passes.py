"""Exact rewrites of the ONNX graph that tf2onnx made. Each changes an `onnx.ModelProto` in place."""

from typing import Any

from keras_se.export.errors import require
from keras_se.export.onnx.graph import (
    FLOAT,
    INT64,
    attributes,
    float_scalars,
    int_vectors,
    names_read,
    rename_reads,
    replace_nodes,
    tensor_types,
)

TO_NHWC = [0, 2, 3, 1]


def pool_means(model: Any) -> None:
    """Replaces each mean over height and width by a GlobalAveragePool.

    tf2onnx writes a ReduceMean from opset 18 on, and ONNX Runtime on x86 leaves its blocked layout for it.

        x → ReduceMean(2, 3), keepdims               ⇒  x → GlobalAveragePool
        x → Transpose(to NHWC) → ReduceMean(1, 2)    ⇒  x → GlobalAveragePool → Squeeze(2, 3)
    """
    helper, graph, vectors = require("onnx", "onnx").helper, model.graph, int_vectors(model.graph)
    types = tensor_types(model).items()
    images = {name for name, value in types if value.elem_type == FLOAT and len(value.shape.dim) == 4}
    channels_first = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Transpose" and attributes(node).get("perm") == TO_NHWC
    }
    nodes = []
    for node in graph.node:
        axes, keep = list[int](), 1
        if node.op_type == "ReduceMean" and node.input[0] in images and len(node.input) == 2:
            axes = sorted(axis % 4 for axis in vectors.get(node.input[1], ()))
            keep = attributes(node).get("keepdims", 1)
        if keep and axes == [2, 3]:
            nodes.append(helper.make_node("GlobalAveragePool", node.input[:1], node.output, node.name))
        elif not keep and axes == [1, 2] and node.input[0] in channels_first:
            pooled, space = f"{node.name}__pooled", f"{node.name}__space"
            graph.initializer.append(helper.make_tensor(space, INT64, [2], [2, 3]))
            nodes += [
                helper.make_node("GlobalAveragePool", [channels_first[node.input[0]]], [pooled], pooled),
                helper.make_node("Squeeze", [pooled, space], node.output, node.name),
            ]
        else:
            nodes.append(node)
    replace_nodes(graph, nodes)


def remove_identity_reshapes(model: Any) -> None:
    """Removes each Reshape to the shape that its input already has.

    tf2onnx puts a pair of them, from (batch, C, 1, 1) to itself, around every excitation.
    """
    graph, vectors = model.graph, int_vectors(model.graph)
    shapes = {name: [size.dim_value for size in value.shape.dim] for name, value in tensor_types(model).items()}
    outputs = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.node:
        rename_reads([node], renamed)
        removable = node.op_type == "Reshape" and node.output[0] not in outputs
        if removable and _is_identity(shapes.get(node.input[0], []), vectors.get(node.input[1], [])):
            renamed[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def _is_identity(shape: list[int], target: list[int]) -> bool:
    """Whether reshaping `shape` (0: an unknown size) to `target` (0: as it was, -1: the rest) changes nothing."""
    if not shape or len(target) != len(shape) or target.count(-1) + target.count(0) > 1:
        return False
    return all(goal in (-1, 0) or size == goal for size, goal in zip(shape, target, strict=True))


def fold_pads(model: Any) -> None:
    """Moves zero padding into the convolutions that read it, and into max poolings of rectified tensors.

    tf2onnx does so only in places, and ONNX Runtime leaves its blocked layout for a Pad.

        x → Pad(zeros) → Conv            ⇒  x → Conv(pads)
        x → Relu → Pad(zeros) → MaxPool  ⇒  x → Relu → MaxPool(pads)
    """
    graph, vectors = model.graph, int_vectors(model.graph)
    zeros = {name for name, value in float_scalars(graph).items() if value == 0}
    rectified = {node.output[0] for node in graph.node if node.op_type == "Relu"}
    outputs = {value.name for value in graph.output}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in names_read([node]):
            users.setdefault(name, []).append(node)
    kept = []
    for node in graph.node:
        padded = node.output[0]
        pads = _spatial_pads(node, vectors, zeros) if node.op_type == "Pad" and padded not in outputs else []
        found = users.get(padded, []) if pads else []
        pools = bool(pads) and node.input[0] in rectified
        if found and all(_conv_takes(user, padded) or (pools and _pooling_takes(user, pads)) for user in found):
            for user in found:
                _set_pads(user, pads)
                rename_reads([user], {padded: node.input[0]})
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def _spatial_pads(pad: Any, vectors: dict[str, list[int]], zeros: set[str]) -> list[int]:
    """(top, left, bottom, right) of a Pad that adds zeros around images and does nothing else; [] for any other."""
    _, sizes, value, axes = [*pad.input, "", "", ""][:4]
    pads = vectors.get(sizes, [])
    constant = attributes(pad).get("mode", b"constant") == b"constant" and (not value or value in zeros)
    if axes or not constant or len(pads) != 8 or min(pads) < 0 or any(pads[:2] + pads[4:6]):
        return []
    return pads[2:4] + pads[6:8]


def _conv_takes(node: Any, padded: str) -> bool:
    """Whether a node is a convolution with explicit padding, of this tensor."""
    is_conv = node.op_type == "Conv" and node.input[0] == padded and padded not in node.input[1:]
    return is_conv and _pads_explicitly(node)


def _pooling_takes(node: Any, pads: list[int]) -> bool:
    """Whether a max pooling can ignore the padding in place of reading zeros: every window holds a real value."""
    if node.op_type != "MaxPool" or len(node.output) > 1 or not _pads_explicitly(node):
        return False
    given = attributes(node)
    if given.get("ceil_mode", 0) or set(given.get("dilations", [1])) != {1}:
        return False
    return all(pad < window for pad, window in zip(_total_pads(node, pads), given["kernel_shape"] * 2, strict=True))


def _pads_explicitly(node: Any) -> bool:
    return attributes(node).get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")


def _set_pads(node: Any, pads: list[int]) -> None:
    pads = _total_pads(node, pads)
    kept = [attribute for attribute in node.attribute if attribute.name not in ("pads", "auto_pad")]
    del node.attribute[:]
    node.attribute.extend([*kept, require("onnx", "onnx").helper.make_attribute("pads", pads)])


def _total_pads(node: Any, pads: list[int]) -> list[int]:
    return [given + added for given, added in zip(attributes(node).get("pads", [0] * 4), pads, strict=True)]
