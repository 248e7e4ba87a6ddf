"""How a TFLite file is written in each mode: functions of (rewritten model, request) → bytes and notes."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from keras_se.export.errors import ExportError, require
from keras_se.export.frontend.batching import batches
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.request import ExportRequest
from keras_se.export.tflite.converter import converter_of, float_file, quiet
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.interpreter import ranges
from keras_se.export.tflite.layer_map import LayerNames, operations_of
from keras_se.export.tflite.selective import quantized_but

Written = tuple[bytes, list[str]]


def write_floats(model: InferenceModel, request: ExportRequest) -> Written:
    return float_file(model, request.shapes, request.fixed_batch), []


def write_float16(model: InferenceModel, request: ExportRequest) -> Written:
    """Weights in 16-bit floats."""
    tf = require("tensorflow", "tflite")
    with converter_of(model, request.shapes, request.fixed_batch) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert()), []


def write_dynamic(model: InferenceModel, request: ExportRequest) -> Written:
    """8-bit weights of convolutions and dense layers, by LiteRT's quantizer.

    TensorFlow's converter quantizes depthwise convolutions too, which LiteRT's delegate then leaves to slower kernels:
    SE-MobileNet falls into 12 partitions. They hold 1 % of the weights, so they stay in floats here.
    """
    require("ai_edge_quantizer", "tflite")
    from ai_edge_quantizer import qtyping, quantizer

    with tempfile.NamedTemporaryFile(suffix=".tflite") as file, quiet():
        file.write(float_file(model, request.shapes, request.fixed_batch))
        file.flush()
        rewriter = quantizer.Quantizer(file.name)
        for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
            rewriter.add_dynamic_config(regex=".*", operation_name=operation, num_bits=8)
        return bytes(rewriter.quantize().quantized_model), []


def write_int8(model: InferenceModel, request: ExportRequest) -> Written:
    """Everything in 8 bits, by TensorFlow's quantizer, with ranges that are measured here.

    To save memory, an addition or a product may overwrite one of its inputs. TensorFlow's calibrator then takes the
    range of the result for that of the input: the gates of a hard swish, from 0 to 1, would get steps of 0.4.
    """
    tf = require("tensorflow", "tflite")
    schema = require("ai_edge_litert.schema_py_generated", "tflite")
    quantizer = require("tensorflow.lite.python.convert", "tflite")
    with _calibrated(model, request, tf.lite.OpsSet.TFLITE_BUILTINS_INT8) as converter:
        representative = converter.representative_dataset
        converter.representative_dataset = lambda: islice(representative(), 1)
        converter._experimental_calibrate_only = True
        content = bytearray(converter.convert())
        graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
        for index, (low, high) in ranges(bytes(content), request.ranges_from, request.fixed_batch).items():
            known = graph.Tensors(index).Quantization()
            if known is not None and known.MinLength() == known.MaxLength() == 1:
                known.MinAsNumpy()[0], known.MaxAsNumpy()[0] = low, high
        dtype = getattr(tf, request.options["io_dtype"])
        quantize = partial(quantizer.mlir_quantize, input_data_type=dtype, output_data_type=dtype)
        return bytes(quantized_file(bytes(content), model, quantize)), []


def write_int16x8(model: InferenceModel, request: ExportRequest) -> Written:
    """16-bit activations and 8-bit weights, by TensorFlow's quantizer."""
    tf = require("tensorflow", "tflite")
    operations = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    with _calibrated(model, request, operations) as converter:
        converter.inference_input_type = converter.inference_output_type = getattr(tf, request.options["io_dtype"])
        return bytes(converter.convert()), []


def write_selective(model: InferenceModel, request: ExportRequest) -> Written:
    """Everything in 8 bits except the chosen layers, by LiteRT's quantizer."""
    content, _ = write_floats(model, request)
    with quiet():
        return quantized_but(
            content,
            model,
            request.plan,
            calibration=request.ranges_from,
            io_dtype=request.options["io_dtype"],
            batch_size=request.fixed_batch,
        )


@contextmanager
def _calibrated(model: InferenceModel, request: ExportRequest, operations: Any) -> Iterator[Any]:
    """A converter that calibrates, with the operations of a mode."""
    tf, size = require("tensorflow", "tflite"), request.fixed_batch
    with converter_of(model, request.shapes, size, calibrated=request.quantize) as converter:
        converter.target_spec.supported_ops = [operations]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: batches(request.ranges_from, size)
        yield converter


def quantized_file(content: bytes, model: InferenceModel, quantize: Callable[..., bytes]) -> bytes:
    """Quantizes a calibrated TFLite file to 8 bits, but for the layers of `keras_se.export.frontend.float_layers`.

    TensorFlow's quantizer leaves tensors without a range in floats, so theirs are removed.

    Args:
        content: The file.
        model: The model that it was converted from.
        quantize: The quantizer, called with the file and the names of `denylisted_nodes`. Sigmoids need these: their
            results are quantized with fixed steps, whatever their range is.

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
