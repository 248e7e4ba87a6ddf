"""TFLite files in fewer bits."""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from keras_se.export.data.calibration import batches
from keras_se.export.errors import ExportError, require
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.interpreter import ranges
from keras_se.export.tflite.layer_map import LayerNames, operations_of


def _int8(
    converter: Any, model: InferenceModel, calibration: Mapping[str, np.ndarray], batch_size: int, io_dtype: Any
) -> bytes:
    """In 8 bits by TensorFlow's quantizer, with ranges that are measured here.

    Where an operation writes over one of its inputs to save memory, an addition or a product, TensorFlow's calibrator
    takes the range of the result for that of the input: the gates of a hard swish, from 0 to 1, in steps of 0.4.
    """
    schema = require("ai_edge_litert.schema_py_generated", "tflite")
    quantizer = require("tensorflow.lite.python.convert", "tflite")
    converter.representative_dataset = lambda: islice(batches(calibration, batch_size), 1)
    converter._experimental_calibrate_only = True
    content = bytearray(converter.convert())
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    for index, (low, high) in ranges(bytes(content), calibration, batch_size).items():
        known = graph.Tensors(index).Quantization()
        if known is not None and known.MinLength() == known.MaxLength() == 1:
            known.MinAsNumpy()[0], known.MaxAsNumpy()[0] = low, high
    quantize = partial(quantizer.mlir_quantize, input_data_type=io_dtype, output_data_type=io_dtype)
    return bytes(quantized_file(bytes(content), model, quantize))


def _dynamic(content: bytes) -> bytes:
    # TensorFlow's converter quantizes depthwise convolutions too, which LiteRT's delegate then leaves to slower
    # kernels: SE-MobileNet falls into 12 partitions. They hold 1 % of the weights, so they stay in floats here.
    require("ai_edge_quantizer", "tflite")
    from ai_edge_quantizer import qtyping, quantizer

    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        rewriter = quantizer.Quantizer(file.name)
        for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
            rewriter.add_dynamic_config(regex=".*", operation_name=operation, num_bits=8)
        return bytes(rewriter.quantize().quantized_model)


def quantized_file(content: bytes, model: InferenceModel, quantize: Callable[..., bytes]) -> bytes:
    """A calibrated TFLite file in 8 bits by TensorFlow's quantizer, which leaves in floats what has no range.

    Args:
        content: The file.
        model: What it was converted from.
        quantize: The quantizer: of a file, and of the names of `denylisted_nodes`. Sigmoids need these: their results
            have the same steps whatever their range is.

    Raises:
        ExportError: if no operation of such a layer can be found.
    """
    paths = paths_in_floats(model.model)
    if not paths:
        return quantize(content)
    flatbuffers: Any = require("flatbuffers", "tflite")
    schema: Any = require("ai_edge_litert.schema_py_generated", "tflite")
    graph = read_graph(content)
    operations = operations_of(graph, LayerNames(model).of_operations(graph), paths)
    if not operations:
        raise ExportError(f"None of the layers that compute in floats is in the file: {', '.join(sorted(paths))}.")
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    results = [file.subgraphs[0].tensors[index] for operation in operations for index in operation.outputs]
    for tensor in results:
        tensor.quantization = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return quantize(bytes(builder.Output()), denylisted_nodes={tensor.name.decode() for tensor in results})
