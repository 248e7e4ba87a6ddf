"""How an ONNX graph is quantized in each mode: functions of (float graph, rewritten model, request) → graph."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import batches
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.onnx.node_names import PARAMETERS
from keras_se.export.onnx.runner import TO_NCHW, transposed
from keras_se.export.request import ExportRequest

CALIBRATION_BATCH = 8
# Kept in float: the probabilities of many classes are all below one step of 8 bits.
FLOAT_OPERATIONS = ("Softmax",)


def to_float16(graph: Any, model: InferenceModel, request: ExportRequest) -> Any:
    """Converts weights and arithmetic to float16. Inputs and outputs keep their types."""
    module = require("onnxruntime.transformers.float16", "onnx")
    with warnings.catch_warnings():
        # A weight beyond the range of float16 is clipped: verification shows the effect.
        warnings.filterwarnings("ignore", "the float32 number", UserWarning)
        half = module.convert_float_to_float16(graph, keep_io_types=True)
    # The converter appends the casts of the inputs at the end, after the nodes that read them.
    require("onnxruntime.transformers.onnx_model", "onnx").OnnxModel(half).topological_sort()
    return half


def to_int8(graph: Any, model: InferenceModel, request: ExportRequest) -> Any:
    """Quantizes with pairs of QuantizeLinear and DequantizeLinear: weights per channel, activations per tensor."""
    onnx = require("onnx", "onnx")
    quantization = require("onnxruntime.quantization", "onnx")
    nchw = request.options["layout"] == "nchw"
    feeds = {name: transposed(x, nchw, TO_NCHW) for name, x in request.ranges_from.items()}
    operations = {node.op_type for node in graph.graph.node} - set(FLOAT_OPERATIONS)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)
        quantization.quantize_static(
            source,
            target,
            _reader(quantization, feeds, request.batch_size or CALIBRATION_BATCH),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=sorted(operations),
            nodes_to_exclude=float_nodes(graph, model),
            per_channel=True,
            # ONNX Runtime on x86 converts signed activations to unsigned ones, but not those with two readers, such as
            # the input of an SE block. A convolution between the two runs in float, and the network twice as slowly.
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
    """Silences the quantizer's advice to preprocess the graph, which is preprocessed already."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)


def float_nodes(graph: Any, model: InferenceModel) -> list[str]:
    """The names of the nodes of float layers. The graph's nodes must be named after layers already."""
    names = {scope_name(path.split("/")[-1]) for path in paths_in_floats(model.model)}
    # A layer of a nested model can have the same name as a float layer. Float layers have no parameters, so nodes with
    # parameters belong to others; of the rest, an addition or a product may stay in float needlessly.
    layer_nodes = (node for node in graph.graph.node if node.name.split("/")[0] in names)
    return [node.name for node in layer_nodes if node.op_type not in PARAMETERS]
