"""Exact rewrites of the ONNX graph that tf2onnx made."""

import math
from typing import Any

from keras_se.export.errors import require
from keras_se.export.onnx.subgraphs import read, read_instead

TO_NHWC = [0, 2, 3, 1]
FLOAT, INT64 = 1, 7  # as onnx.TensorProto numbers them


def means_to_poolings(model: Any) -> None:
    """Makes a GlobalAveragePool of each mean of floats over the space of an image.

    From opset 18 on, tf2onnx writes a ReduceMean, for which ONNX Runtime on x86 leaves its blocked layout.
    """
    graph, axes, known = model.graph, _lists(model), inferred(model)
    images = {name for name, value in known.items() if value.elem_type == FLOAT and len(value.shape.dim) == 4}
    turned = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Transpose" and _attributes(node).get("perm") == TO_NHWC
    }
    nodes, replaced = [], set()
    for node in graph.node:
        mean = node.op_type == "ReduceMean" and node.input[0] in images and len(node.input) == 2
        keeps = mean and _attributes(node).get("keepdims", 1)
        over = sorted(axis % 4 for axis in axes.get(node.input[1], ())) if mean else []
        if keeps and over == [2, 3]:
            nodes += _pooling(graph, node, node.input[0], keeps)
        elif not keeps and over == [1, 2] and node.input[0] in turned:
            nodes += _pooling(graph, node, turned[node.input[0]], keeps)
            replaced.add(node.input[0])
        else:
            nodes.append(node)
    idle = replaced - set(read(nodes)) - {value.name for value in graph.output}
    replace_nodes(graph, [node for node in nodes if not idle.intersection(node.output)])


def _pooling(graph: Any, mean: Any, image: str, keeps: bool) -> list[Any]:
    """What computes the same as a mean, of an image that has its channels first."""
    helper = require("onnx", "onnx").helper
    if keeps:
        return [helper.make_node("GlobalAveragePool", [image], mean.output, mean.name)]
    pooled, space = f"{mean.name}__pooled", f"{mean.name}__space"
    graph.initializer.append(helper.make_tensor(space, INT64, [2], [2, 3]))
    return [
        helper.make_node("GlobalAveragePool", [image], [pooled], pooled),
        helper.make_node("Squeeze", [pooled, space], mean.output, mean.name),
    ]


def remove_identity_reshapes(model: Any) -> None:
    """Removes each Reshape whose result has the shape that its input has already.

    tf2onnx puts a pair of them around every excitation, (batch, C, 1, 1) to the same.
    """
    graph, targets = model.graph, _lists(model)
    shapes = {name: [size.dim_value or None for size in value.shape.dim] for name, value in inferred(model).items()}
    results = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.node:
        read_instead([node], renamed)
        shape = shapes.get(node.input[0]) if node.op_type == "Reshape" else None
        if shape and node.output[0] not in results and _keeps(shape, targets.get(node.input[1])):
            renamed[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def paddings_to_windows(model: Any) -> None:
    """Gives convolutions, and largest values of what is nowhere negative, the padding with zeros that is before them.

    tf2onnx does so only in some places, and ONNX Runtime leaves its blocked layout for a padding.
    """
    graph, lists = model.graph, _lists(model)
    zeros = {tensor.name for tensor in graph.initializer if _is_zero(tensor)}
    rectified = {node.output[0] for node in graph.node if node.op_type == "Relu"}
    results = {value.name for value in graph.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in read([node]):
            readers.setdefault(name, []).append(node)
    kept = []
    for node in graph.node:
        pads = _of_space(node, lists, zeros) if node.op_type == "Pad" else []
        around = readers.get(node.output[0], []) if pads and node.output[0] not in results else []
        least_0 = bool(around) and node.input[0] in rectified
        if around and all(
            _takes_padding(one, node.output[0]) or (least_0 and _takes_largest(one, pads)) for one in around
        ):
            for one in around:
                _pad(one, pads)
                read_instead([one], {node.output[0]: node.input[0]})
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def _of_space(pad: Any, lists: dict[str, list[int]], zeros: set[str]) -> list[int]:
    """(top, left, bottom, right) of zeros around an image, if a padding is that alone; of any other, nothing."""
    value = pad.input[2] if len(pad.input) > 2 else ""
    sizes = lists.get(pad.input[1]) if len(pad.input) > 1 and not (len(pad.input) > 3 and pad.input[3]) else None
    mode = _attributes(pad).get("mode", b"constant")
    if mode != b"constant" or (value and value not in zeros) or not sizes or len(sizes) != 8 or min(sizes) < 0:
        return []
    return [*sizes[2:4], *sizes[6:8]] if sizes[:2] == sizes[4:6] == [0, 0] else []


def _takes_padding(conv: Any, name: str) -> bool:
    own = _attributes(conv).get("auto_pad", b"NOTSET")
    return (
        conv.op_type == "Conv" and conv.input[0] == name and name not in conv.input[1:] and own in (b"NOTSET", b"VALID")
    )


def _takes_largest(pool: Any, pads: list[int]) -> bool:
    """Whether a pooling can leave out the padding instead of reading zeros: it sees a value beside it each time."""
    if pool.op_type != "MaxPool" or len(pool.output) > 1:
        return False
    attributes = _attributes(pool)
    plain = attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID") and not attributes.get("ceil_mode", 0)
    plain = plain and set(attributes.get("dilations", [1])) == {1}
    return plain and all(
        size < side for size, side in zip(_added(pool, pads), attributes["kernel_shape"] * 2, strict=True)
    )


def _pad(node: Any, pads: list[int]) -> None:
    added = _added(node, pads)
    kept = [attribute for attribute in node.attribute if attribute.name not in ("pads", "auto_pad")]
    del node.attribute[:]
    node.attribute.extend([*kept, require("onnx", "onnx").helper.make_attribute("pads", added)])


def _added(node: Any, pads: list[int]) -> list[int]:
    return [own + more for own, more in zip(_attributes(node).get("pads", [0] * 4), pads, strict=True)]


def _is_zero(tensor: Any) -> bool:
    one = tensor.data_type == FLOAT and math.prod(tensor.dims) == 1
    return one and require("onnx", "onnx").numpy_helper.to_array(tensor).item() == 0


def _keeps(shape: list[int | None], target: list[int] | None) -> bool:
    """Whether a Reshape to `target` (-1: what remains) leaves `shape` (None: unknown) as it is."""
    if target is None or len(target) != len(shape) or target.count(-1) + target.count(0) > 1:
        return False
    return all(size == goal or goal in (-1, 0) for size, goal in zip(shape, target, strict=True))


def _lists(model: Any) -> dict[str, list[int]]:
    """The constants that are lists of whole numbers, by name."""
    onnx = require("onnx", "onnx")
    return {  # no kernels: as lists they would take more time than all the rest
        tensor.name: onnx.numpy_helper.to_array(tensor).tolist()
        for tensor in model.graph.initializer
        if tensor.data_type == INT64 and len(tensor.dims) == 1
    }


def inferred(model: Any) -> dict[str, Any]:
    """The types of tensors, and their shapes, by name, as far as they are known."""
    graph = require("onnx", "onnx").shape_inference.infer_shapes(model).graph
    return {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.input, *graph.output)}


def _attributes(node: Any) -> dict[str, Any]:
    onnx = require("onnx", "onnx")
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def replace_nodes(graph: Any, nodes: list[Any]) -> None:
    """Gives the graph other nodes, and takes out the constants that none of them reads."""
    kept = list(nodes)
    del graph.node[:]
    graph.node.extend(kept)
    used = set(read(graph.node))
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
