"""Runs a TFLite file in LiteRT."""

import collections
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.metadata import parsed
from keras_se.export.modes import stated_mode
from keras_se.export.tflite.metadata import embedded
from keras_se.export.tflite.mode import find_mode


class Runner:
    """A TFLite file in LiteRT."""

    def __init__(self, path: Path):
        runtime = require("ai_edge_litert.interpreter", "tflite")
        self._interpreter = runtime.Interpreter(model_path=str(path), num_threads=os.cpu_count())
        self._interpreter.allocate_tensors()
        self._signature = self._interpreter.get_signature_runner()
        self._inputs = self._signature.get_input_details()
        self._outputs = self._signature.get_output_details()
        self.inputs = [
            Tensor(name, tuple(int(size) for size in detail["shape"][1:]), _outside_dtype(detail))
            for name, detail in self._inputs.items()
        ]
        self.outputs = list(self._outputs)
        self._batch = int(next(iter(self._inputs.values()))["shape"][0])
        # LiteRT has no public way to list a file's operations.
        self._tensors = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        self._operations = self._interpreter._get_ops_details()
        self.quantize = stated_mode(self._find_mode(), parsed(embedded(path)))
        self.steps = {name: step for name, detail in self._outputs.items() if (step := self._step(detail)) > 0}

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        def run_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            outputs = self._signature(**batch)
            return {name: dequantized(outputs[name], detail) for name, detail in self._outputs.items()}

        return run_in_batches(self.stored(feeds), run_batch, self._batch)

    def stored(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Named inputs in the file's types."""
        return {name: quantized(feeds[name], detail) for name, detail in self._inputs.items()}

    def operations(self) -> collections.Counter[str]:
        """How often each operation occurs; `DELEGATE` is a partition that the delegate runs."""
        return collections.Counter(operation["op_name"] for operation in self._operations)

    def _find_mode(self) -> str | None:
        dtypes = {index: np.dtype(tensor["dtype"]).name for index, tensor in self._tensors.items()}
        operations = (
            (operation["op_name"], [dtypes[index] for index in operation["outputs"] if index in dtypes])
            for operation in self._operations
        )
        return find_mode(operations, dtypes.values())

    def _step(self, output: dict[str, Any]) -> float:
        """The quantization step of an output, also of one that is dequantized inside the file."""
        for operation in self._operations:
            if operation["op_name"] == "DEQUANTIZE" and list(operation["outputs"]) == [output["index"]]:
                output = self._tensors[operation["inputs"][0]]
        scales = output["quantization_parameters"]["scales"]
        return float(scales[0]) if len(scales) else 0.0


def _outside_dtype(detail: dict[str, Any]) -> str:
    return "float32" if detail["quantization"][0] else np.dtype(detail["dtype"]).name


def quantized(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Real values as the file's tensor stores them."""
    scale, zero_point = detail["quantization"]
    if not scale:
        return np.asarray(values, dtype=detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantized(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Real values of those that the file stores."""
    scale, zero_point = detail["quantization"]
    return (values.astype("float32") - zero_point) * np.float32(scale) if scale else values
