"""tf2onnx, with a pass that does not fail at the sum of a convolution and a number."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require


@contextmanager
def scalars() -> Iterator[None]:
    """Converts networks with hard swishes, x + 3 among other things, without a pair of transpositions a convolution.

    The pass that takes transpositions out asks a constant that is added to a convolution for its largest size, to see
    whether it is a bias. A number has none, and the pass fails as a whole. Here it goes on as with any other sum.
    """
    optimizer = require("tf2onnx.optimizer.transpose_optimizer", "onnx").TransposeOptimizer
    handle = optimizer._add_handler

    def handle_number(self: Any, transposition: Any, node: Any) -> Any:
        added = node.inputs[1]
        if added.is_const() and added.get_tensor_value(as_list=False).ndim == 0:
            return self._handle_node_having_branches(transposition, node)
        return handle(self, transposition, node)

    optimizer._add_handler = handle_number
    try:
        yield
    finally:
        optimizer._add_handler = handle
