"""Sizes that an ONNX file has to round as TensorFlow did."""

from typing import Any

import numpy as np

from keras_se.export.errors import require


def keep_sizes(model: Any) -> None:
    """Makes the scale of each Resize that is no whole number the next larger one.

    tf2onnx writes the ratio of two sizes as a float, and the size is the product, rounded down. In floats, as ONNX's
    own checker computes it, 11 pixels times 23/11 are 22. The next larger float gives the right size for any two, and
    moves no pixel by more than rounding does.
    """
    onnx = require("onnx", "onnx")
    scales = {node.input[2] for node in model.graph.node if node.op_type == "Resize" and len(node.input) == 3}
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            values = onnx.numpy_helper.to_array(tensor)
            larger = np.where(values % 1 == 0, values, np.nextafter(values, np.float32(np.inf)))
            tensor.CopyFrom(onnx.numpy_helper.from_array(larger, tensor.name))
