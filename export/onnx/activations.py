"""Activations that TensorFlow spells out, as the single operations that ONNX has for them."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from keras_se.export.errors import require
from keras_se.export.onnx.passes import FLOAT, inferred, replace_nodes
from keras_se.export.onnx.subgraphs import read

# From which opset on ONNX has it.
HARD_SWISH = 14
SIXTH = 1 / 6


def hard_activations(model: Any) -> None:
    """Makes a HardSigmoid of min(max(x + 3, 0), 6) / 6, and a HardSwish of x times that: 1 operation for 3 or 4.

    ONNX Runtime reads and writes the tensor for each, and leaves its blocked layout. Not for files in 8 bits: ONNX
    Runtime's quantizer knows neither.
    """
    graph = model.graph
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    results = {value.name for value in graph.output}
    readers = Counter((*read(graph.node), *results))
    made = {output: node for node in graph.node for output in node.output}

    def alone(name: str, operation: str) -> Any:
        """The node that made a tensor, if it is of that kind, and nothing else reads the tensor."""
        node = made.get(name)
        return node if node is not None and node.op_type == operation and readers[name] == 1 else None

    scalars = _scalars(graph)
    products = [node for node in graph.node if node.op_type == "Mul"]
    found = [(node, x) for node in products if (x := _hard_sigmoid(node, scalars, alone))]
    ranks = _ranks(model) if found else {}
    for node, x in found:
        # A constant of more axes than x gives the result more, too.
        if x in ranks and ranks[x] == ranks.get(node.output[0]):
            _become(node, "HardSigmoid", x, alpha=SIXTH, beta=0.5)
    for node in products:
        if opset >= HARD_SWISH and node.op_type == "Mul" and (x := _gated_by_itself(node, alone)):
            _become(node, "HardSwish", x)
    replace_nodes(graph, _that_are_read(graph.node, results))


def _hard_sigmoid(times: Any, scalars: Mapping[str, float], alone: Callable[[str, str], Any]) -> str:
    """The x of min(max(x + 3, 0), 6) / 6, whose last node is given; of anything else, nothing."""
    factor, clipped = _constant_and_other(times, scalars)
    clip = alone(clipped, "Clip") if math.isclose(factor, SIXTH, rel_tol=1e-6) else None
    if clip is None or [scalars.get(name) for name in clip.input[1:]] != [0, 6]:
        return ""
    plus = alone(clip.input[0], "Add")
    shift, x = _constant_and_other(plus, scalars) if plus is not None else (math.nan, "")
    return x if shift == 3 else ""


def _gated_by_itself(times: Any, alone: Callable[[str, str], Any]) -> str:
    """The x of x * HardSigmoid(x), of a node that was given its attributes here; of anything else, nothing."""
    for x, gate in (times.input, reversed(times.input)):
        node = alone(gate, "HardSigmoid")
        if node is not None and node.input[0] == x and _is_of_hard_swish(node):
            return str(x)
    return ""


def _is_of_hard_swish(node: Any) -> bool:
    values = {attribute.name: attribute.f for attribute in node.attribute}
    return math.isclose(values.get("alpha", 0.2), SIXTH, rel_tol=1e-6) and values.get("beta", 0.5) == 0.5


def _constant_and_other(node: Any, scalars: Mapping[str, float]) -> tuple[float, str]:
    """What is added or multiplied (NaN, if that is no constant), and to what."""
    first, second = node.input
    return (scalars[second], first) if second in scalars else (scalars.get(first, math.nan), second)


def _scalars(graph: Any) -> dict[str, float]:
    """The constants of one 32-bit float, which is what ONNX Runtime's kernels take, by name."""
    to_array = require("onnx", "onnx").numpy_helper.to_array
    ones = (tensor for tensor in graph.initializer if tensor.data_type == FLOAT and math.prod(tensor.dims) == 1)
    return {tensor.name: float(to_array(tensor).item()) for tensor in ones}


def _ranks(model: Any) -> dict[str, int]:
    """How many axes tensors have, by name, as far as it is known."""
    known = inferred(model).items()
    return {name: len(value.shape.dim) for name, value in known if value.HasField("shape")}


def _become(node: Any, operation: str, x: str, **attributes: float) -> None:
    """In the node's place, so that what reads its output stays as it is."""
    new = require("onnx", "onnx").helper.make_node(operation, [x], node.output, node.name, **attributes)
    node.CopyFrom(new)


def _that_are_read(nodes: Sequence[Any], results: Iterable[str]) -> list[Any]:
    """Without what made the parts, which nothing reads any more."""
    kept: list[Any] = []
    wanted = set(results)
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(read([node]))
            kept.insert(0, node)
    return kept
