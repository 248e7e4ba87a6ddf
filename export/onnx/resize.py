"""Corrects the scales of Resize nodes, so that files give the sizes that TensorFlow gives."""

from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.onnx.graph import attributes, tensor_types


def fix_resize_scales(model: Any) -> None:
    """Replaces a scale by the next larger float where the output would be one pixel too small.

    tf2onnx writes the ratio of two sizes as a float, and runtimes round the product down: 11 pixels times 23/11 are 22.
    Linear resizing reads almost the same positions then, so every fractional scale is replaced. Nearest-neighbour
    resizing may select another pixel, so a scale is replaced only where the size is wrong.
    """
    helper = require("onnx", "onnx").numpy_helper
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Resize" or len(node.input) != 3 or node.input[2] not in tensors:
            continue
        tensor = tensors[node.input[2]]
        scales = helper.to_array(tensor)
        short = scales % 1 != 0
        if short.any() and attributes(node).get("mode", b"nearest") == b"nearest":
            short &= _falls_short(model, node.input[0], scales)
        if short.any():
            larger = np.where(short, np.nextafter(scales, np.float32(np.inf)), scales)
            tensor.CopyFrom(helper.from_array(larger, tensor.name))


def _falls_short(model: Any, name: str, scales: np.ndarray) -> np.ndarray:
    """Whether the known size times the scale is below the intended whole number, for each axis.

    False where an output pixel lies exactly between two input pixels: a larger scale would select the other one.
    """
    types = tensor_types(model)
    sizes = [size.dim_value for size in types[name].shape.dim] if name in types else []
    if len(sizes) != len(scales):
        return np.zeros(len(scales), bool)
    product = np.array(sizes) * scales.astype("float64")
    intended = np.rint(product).astype(int)
    between = [_reads_between(before, after) for before, after in zip(sizes, intended.tolist(), strict=True)]
    return (np.floor(product) < intended) & ~np.array(between)


def _reads_between(before: int, after: int) -> bool:
    """Whether (i + 1/2) · before / after, or i · before / after for i > 0, is whole for an output pixel i."""
    pixels = np.arange(after)
    halves = (2 * pixels + 1) * before % (2 * max(after, 1)) == 0
    return bool(halves.any() or (pixels[1:] * before % max(after, 1) == 0).any())
