"""Reads every tensor of a TFLite file while it runs."""

import os
from collections.abc import Mapping

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import batches
from keras_se.export.tflite.graph import FileTensor, read_graph


class TensorValues:
    """Runs a TFLite file without the XNNPACK delegate, which keeps no intermediate tensors.

    Attributes:
        graph: The file's main graph.
        computed: The indices of the inputs and of the tensors that operations compute.
        batch: The file's fixed batch.
    """

    def __init__(self, content: bytes):
        runtime = require("ai_edge_litert.interpreter", "tflite")
        self.graph = read_graph(content)
        self._interpreter = runtime.Interpreter(
            model_content=content,
            num_threads=os.cpu_count(),
            experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._signature = self._interpreter.get_signature_runner()
        made = [index for operation in self.graph.operations for index in operation.outputs]
        self.batch = self.graph.tensors[self.graph.inputs[0]].shape[0]
        self.computed = tuple(dict.fromkeys((*self.graph.inputs, *made)))

    def run(self, batch: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
        """One batch of inputs, by name and in the file's types → the real values of `computed` tensors, by index."""
        self._signature(**batch)
        return {index: _real(self._interpreter.get_tensor(index), self.graph.tensors[index]) for index in self.computed}


def ranges(content: bytes, feeds: Mapping[str, np.ndarray], batch_size: int) -> dict[int, tuple[float, float]]:
    """The smallest and the largest value of each float tensor over all samples, by index."""
    values = TensorValues(content)
    found: dict[int, tuple[float, float]] = {}
    for batch in batches(feeds, batch_size):
        for index, array in values.run(batch).items():
            if array.dtype.kind == "f" and array.size:
                low, high = found.get(index, (np.inf, -np.inf))
                found[index] = (min(low, float(array.min())), max(high, float(array.max())))
    return found


def _real(values: np.ndarray, tensor: FileTensor) -> np.ndarray:
    """The real numbers that stored values stand for. Only constants have several scales."""
    if len(tensor.scales) != 1:
        return values
    return (values.astype("float64") - tensor.zero_points[0]) * tensor.scales[0]
