"""Smaller ONNX files: 16-bit floats, or 8-bit weights and activations."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import batches
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.onnx.node_names import READS
from keras_se.export.onnx.runner import TO_NCHW, transposed
from keras_se.export.request import ExportRequest

BATCH = 8
# Left in floats: in 8 bits, the probabilities of many classes are all less than a step.
IN_FLOATS = ("Softmax",)


def to_float16(model: Any) -> Any:
    """The graph with weights and arithmetic in 16-bit floats. Inputs and outputs stay as they are."""
    module = require("onnxruntime.transformers.float16", "onnx")
    with warnings.catch_warnings():
        # A weight that no 16-bit float can hold is cut off: verification sees what comes of it.
        warnings.filterwarnings("ignore", "the float32 number", UserWarning)
        half = module.convert_float_to_float16(model, keep_io_types=True)
    # The conversion of the inputs is put at the end of the list, behind what reads it.
    require("onnxruntime.transformers.onnx_model", "onnx").OnnxModel(half).topological_sort()
    return half


def to_int8(model: Any, feeds: Mapping[str, np.ndarray], batch_size: int | None, keep: Sequence[str] = ()) -> Any:
    """The graph in QuantizeLinear and DequantizeLinear pairs: weights per channel, activations per tensor.

    Args:
        model: An `onnx.ModelProto` in floats.
        feeds: Calibration data by input name, in the layout of the file.
        batch_size: The file's batch, if it is fixed.
        keep: Names of nodes that stay in floats.
    """
    onnx = require("onnx", "onnx")
    quantization = require("onnxruntime.quantization", "onnx")
    operations = {node.op_type for node in model.graph.node} - set(IN_FLOATS)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantization.quantize_static(
            source,
            target,
            _reader(quantization, feeds, batch_size or BATCH),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=sorted(operations),
            nodes_to_exclude=list(keep),
            per_channel=True,
            # ONNX Runtime on x86 makes signed activations unsigned, but not those with two readers, as in front of an
            # SE block: convolutions between the one kind and the other then run in floats, twice as slow as a whole.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(target)


def _reader(quantization: Any, feeds: Mapping[str, np.ndarray], size: int) -> Any:
    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = batches(feeds, size)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice to preprocess the graph, which is done already."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)


def nodes_in_floats(graph: Any, model: InferenceModel) -> list[str]:
    """The names of nodes of an ONNX file that belong to such layers; they are named after them already."""
    names = {scope_name(path.split("/")[-1]) for path in paths_in_floats(model.model)}
    # In another model of the graph, a layer can have the same name. What has weights is none of these layers'. The rest
    # of it, an addition or a product, is in floats, too.
    return [node.name for node in graph.graph.node if node.name.split("/")[0] in names and node.op_type not in READS]


def in_float16(graph: Any, model: InferenceModel, request: ExportRequest) -> Any:
    return to_float16(graph)


def in_int8(graph: Any, model: InferenceModel, request: ExportRequest) -> Any:
    nchw = request.options["layout"] == "nchw"
    feeds = {name: transposed(x, nchw, TO_NCHW) for name, x in (request.calibration or {}).items()}
    return to_int8(graph, feeds, request.batch_size, nodes_in_floats(graph, model))
