"""Fuses the activations that TensorFlow spells out into the single operations that ONNX has for them."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from keras_se.export.errors import require
from keras_se.export.onnx.graph import attributes, float_scalars, names_read, replace_nodes, tensor_types

HARD_SWISH_OPSET = 14  # the first that has HardSwish
SIXTH = 1 / 6
# The node that makes a tensor, if it is of this type and has no other reader.
Producer = Callable[[str, str], Any]


def fuse_hard_activations(model: Any) -> None:
    """Fuses min(max(x + 3, 0), 6) / 6 into a HardSigmoid, and x times that into a HardSwish.

    Otherwise ONNX Runtime reads and writes the tensor three or four times, and leaves its blocked layout. Int8 files
    keep the parts: ONNX Runtime's quantizer supports neither operation.
    """
    graph = model.graph
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    readers = Counter((*names_read(graph.node), *(value.name for value in graph.output)))
    makers = {output: node for node in graph.node for output in node.output}

    def producer(name: str, operation: str) -> Any:
        node = makers.get(name)
        return node if node is not None and node.op_type == operation and readers[name] == 1 else None

    scalars = float_scalars(graph)
    products = [node for node in graph.node if node.op_type == "Mul"]
    found = [(node, x) for node in products if (x := _hard_sigmoid_input(node, scalars, producer))]
    known = tensor_types(model).items() if found else ()
    ranks = {name: len(value.shape.dim) for name, value in known if value.HasField("shape")}
    for node, x in found:
        # A constant of more axes than x would add axes to the result.
        if x in ranks and ranks[x] == ranks.get(node.output[0]):
            _replace(node, "HardSigmoid", x, alpha=SIXTH, beta=0.5)
    for node in products:
        if opset >= HARD_SWISH_OPSET and node.op_type == "Mul" and (x := _hard_swish_input(node, producer)):
            _replace(node, "HardSwish", x)
    replace_nodes(graph, graph.node)


def _hard_sigmoid_input(product: Any, scalars: Mapping[str, float], producer: Producer) -> str:
    """The x of a product that is min(max(x + 3, 0), 6) / 6; "" for any other product."""
    factor, clipped = _constant_and_other(product, scalars)
    clip = producer(clipped, "Clip") if math.isclose(factor, SIXTH, rel_tol=1e-6) else None
    if clip is None or [scalars.get(name) for name in clip.input[1:]] != [0, 6]:
        return ""
    shifted = producer(clip.input[0], "Add")
    shift, x = _constant_and_other(shifted, scalars) if shifted is not None else (math.nan, "")
    return x if shift == 3 else ""


def _hard_swish_input(product: Any, producer: Producer) -> str:
    """The x of a product that is x · HardSigmoid(x), with a slope of 1/6; "" for any other product."""
    for x, gate in (product.input, reversed(product.input)):
        node = producer(gate, "HardSigmoid")
        if node is not None and node.input[0] == x:
            given = attributes(node)
            if math.isclose(given.get("alpha", 0.2), SIXTH, rel_tol=1e-6) and given.get("beta", 0.5) == 0.5:
                return str(x)
    return ""


def _constant_and_other(node: Any, scalars: Mapping[str, float]) -> tuple[float, str]:
    """The constant operand of a sum or product (NaN if it has none), and the other operand."""
    first, second = node.input
    return (scalars[second], first) if second in scalars else (scalars.get(first, math.nan), second)


def _replace(node: Any, operation: str, x: str, **values: float) -> None:
    """Replaces a node in place, so that its readers keep their input."""
    node.CopyFrom(require("onnx", "onnx").helper.make_node(operation, [x], node.output, node.name, **values))
