"""Sizes that an ONNX file has to round as TensorFlow did."""

from typing import Any

import numpy as np

from keras_se.export.errors import require


def keep_sizes(model: Any) -> None:
    """Makes the scale of a Resize the next larger float where the size would come out one too small.

    tf2onnx writes the ratio of two sizes as a float, and runtimes round the product down: 11 pixels times 23/11 are 22.
    Linear ones get it wherever the scale is no whole number, since it moves what they read by no more than rounding
    does. Of the nearest pixel another scale can make another one: there, only where the size is wrong.
    """
    onnx = require("onnx", "onnx")
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Resize" or len(node.input) != 3 or node.input[2] not in tensors:
            continue
        tensor = tensors[node.input[2]]
        scales = onnx.numpy_helper.to_array(tensor)
        short = scales % 1 != 0
        if short.any() and _mode(node) == "nearest":
            short &= _falls_short(model, node.input[0], scales)
        if short.any():
            larger = np.where(short, np.nextafter(scales, np.float32(np.inf)), scales)
            tensor.CopyFrom(onnx.numpy_helper.from_array(larger, tensor.name))


def _mode(node: Any) -> str:
    return next((attribute.s.decode() for attribute in node.attribute if attribute.name == "mode"), "nearest")


def _falls_short(model: Any, name: str, scales: np.ndarray) -> np.ndarray:
    """Of each axis, whether its known size times the scale is below the whole number that is meant.

    Not where a new pixel reads exactly between two old ones: another scale would give it the other one.
    """
    graph = require("onnx", "onnx").shape_inference.infer_shapes(model).graph
    known = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.input)}
    sizes = [size.dim_value for size in known[name].shape.dim] if name in known else []
    if len(sizes) != len(scales):
        return np.zeros(len(scales), bool)
    product = np.array(sizes) * scales.astype("float64")
    wanted = np.rint(product).astype(int)
    pairs = zip(sizes, wanted.tolist(), strict=True)
    between = np.array([_reads_between(before, after) for before, after in pairs])
    return (np.floor(product) < wanted) & ~between


def _reads_between(before: int, after: int) -> bool:
    """Whether (i + 1/2) * before / after, or i * before / after, is whole for a new pixel i but the first."""
    new = np.arange(after)
    halves = (2 * new + 1) * before % (2 * max(after, 1)) == 0
    return bool(halves.any() or (new[1:] * before % max(after, 1) == 0).any())
