"""Runs an ONNX file in ONNX Runtime, on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.modes import MODES
from keras_se.export.onnx import FORMAT

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
LAYOUT_KEY, QUANTIZE_KEY = "keras_se.layout", "keras_se.quantize"


class Runner:
    """An ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, path: Path):
        runtime = require("onnxruntime", "onnx")
        try:
            self._session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base but this
            raise RuntimeError(str(error)) from error
        self.outputs = [arg.name for arg in self._session.get_outputs()]
        metadata = self._session.get_modelmeta().custom_metadata_map
        mode = metadata.get(QUANTIZE_KEY)
        self.quantize = mode if mode in FORMAT.modes else None
        self.steps = _steps(path, self.outputs) if MODES[self.quantize].calibrated else {}
        self._nchw = metadata.get(LAYOUT_KEY, "nhwc") == "nchw"
        arguments = self._session.get_inputs()
        self.inputs = [Tensor(arg.name, self._outside(arg.shape), _dtype(arg.type)) for arg in arguments]
        batch = arguments[0].shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        def run_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            turned = {name: transposed(column, self._nchw, TO_NCHW) for name, column in batch.items()}
            outputs = self._session.run(self.outputs, turned)
            return {
                name: transposed(output, self._nchw, TO_NHWC)
                for name, output in zip(self.outputs, outputs, strict=True)
            }

        return run_in_batches(feeds, run_batch, self._batch)

    def _outside(self, shape: list[Any]) -> tuple[int | None, ...]:
        sizes = tuple(size if isinstance(size, int) else None for size in shape[1:])
        return (*sizes[1:], sizes[0]) if self._nchw and len(sizes) == 3 else sizes


def transposed(array: np.ndarray, nchw: bool, axes: tuple[int, ...]) -> np.ndarray:
    """Images in the other layout, if the file's is `nchw`."""
    return np.ascontiguousarray(array.transpose(axes)) if nchw and array.ndim == 4 else array


def _steps(path: Path, outputs: list[str]) -> dict[str, float]:
    """The quantization step of each output that is made by a DequantizeLinear."""
    onnx = require("onnx", "onnx")
    graph = onnx.load(path).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    return {
        node.output[0]: float(onnx.numpy_helper.to_array(stored[node.input[1]]).max())
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.output[0] in outputs and node.input[1] in stored
    }


def _dtype(type_name: str) -> str:
    """`tensor(float)` → `float32`."""
    name = type_name.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)
