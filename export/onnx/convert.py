"""Keras → ONNX."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_se._validation import one_of
from keras_se.export.artifact import Artifact
from keras_se.export.errors import require
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.onnx import FORMAT
from keras_se.export.onnx.activations import fuse_hard_activations
from keras_se.export.onnx.node_names import rename_by_layer
from keras_se.export.onnx.passes import fold_pads, pool_means, remove_identity_reshapes
from keras_se.export.onnx.runner import LAYOUT_KEY, QUANTIZE_KEY
from keras_se.export.onnx.tf2onnx_frontend import float_graph
from keras_se.export.pipeline import write_verified
from keras_se.export.request import ExportRequest, full_request
from keras_se.graph.walk import layers_by_path
from keras_se.version import __version__

# The operator sets that tf2onnx writes and this package tests.
OPSETS = range(13, 19)
DEFAULT_OPSET = 17
LAYOUTS = ("nhwc", "nchw")


@on_any_backend
def to_onnx(
    model: Any,
    path: str | os.PathLike,
    *,
    quantize: str | None = None,
    calibration_data: Any = None,
    opset: int = DEFAULT_OPSET,
    layout: str = "nhwc",
    batch_size: int | None = None,
    optimize: bool = True,
    verification_data: Any = None,
    preprocessing: Any = False,
    labels: Any = None,
    metadata_file: bool = False,
    overwrite: bool = False,
) -> Artifact:
    """Writes an ONNX file.

    Example:

    >>> from keras_se.export import to_onnx
    >>> from keras_se.models import SEResNet18
    >>> artifact = to_onnx(SEResNet18(input_shape=(32, 32, 3)), "se_resnet18.onnx", layout="nchw")  # doctest: +SKIP

    Args:
        model, path, calibration_data, verification_data, labels, metadata_file, overwrite: As in `to_tflite`.
        quantize: `None`; `"float16"` (weights and arithmetic in 16-bit floats, half the size); `"int8"` (pairs of
            QuantizeLinear and DequantizeLinear: weights per channel, activations per tensor; a softmax, and the boxes
            of a detector, stay in floats). Inputs and outputs are always floats.
        opset: The version of the operator set, from 13 to 18.
        layout: The layout of the file's image inputs and outputs (those of rank 4): `"nhwc"` as in Keras, or
            `"nchw"`, which saves a transposition. `Artifact.predict` always takes and returns the Keras layout.
        batch_size: A fixed batch, or `None` for any.
        optimize: Whether to rewrite the graph exactly, before conversion (`keras_se.export.passes`) and after.
        preprocessing: Whether the file takes uint8 pixels, as in `export`.

    Returns:
        An `Artifact`. Errors are as in `to_tflite`.
    """
    request = full_request(
        FORMAT,
        model,
        quantize,
        calibration_data=calibration_data,
        verification_data=verification_data,
        preprocessing=preprocessing,
        labels=labels,
        optimize=optimize,
        batch_size=batch_size,
        opset=opset,
        layout=layout,
    )
    return write_verified(request, path, metadata_file=metadata_file, overwrite=overwrite)


def resolve(request: ExportRequest, *, opset: int = DEFAULT_OPSET, layout: str = LAYOUTS[0]) -> ExportRequest:
    """Adds the options of ONNX files; a `ValueError` for an invalid one."""
    options = {"opset": one_of("opset", opset, OPSETS), "layout": one_of("layout", layout, LAYOUTS)}
    return replace(request, options=options)


def write(request: ExportRequest, path: Path) -> Sequence[str]:
    """Writes the file, and returns notes."""
    onnx = require("onnx", "onnx")
    opset, layout = request.options["opset"], request.options["layout"]
    source, notes = request.optimized()
    graph = float_graph(source, opset, layout, request.batch_size)
    if request.optimize:
        pool_means(graph)
        remove_identity_reshapes(graph)
        fold_pads(graph)
        if request.mode.activation_bits != 8:
            fuse_hard_activations(graph)
    # Before quantization, which names its tensors after these.
    _rename(graph, source)
    graph = request.format.writer(request.mode)(graph, source, request)
    _finish(graph, source, {LAYOUT_KEY: layout, QUANTIZE_KEY: request.quantize or "none"})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    return notes


def write_floats(graph: Any, model: InferenceModel, request: ExportRequest) -> Any:
    """Returns the graph unchanged."""
    return graph


def _finish(graph: Any, model: InferenceModel, properties: Mapping[str, str]) -> None:
    _rename(graph, model)
    _name_sizes(graph)
    graph.producer_name, graph.producer_version, graph.graph.name = "keras_se", __version__, model.model.name
    graph.graph.doc_string = graph.doc_string = ""  # tf2onnx's text differs from run to run
    require("onnx", "onnx").helper.set_model_props(graph, properties)


def _rename(graph: Any, model: InferenceModel) -> None:
    rename_by_layer(graph, [scope_name(layer.name) for _, layer in layers_by_path(model.model, only_models=True)])


def _name_sizes(model: Any) -> None:
    # tf2onnx numbers unknown sizes; names show which are the same.
    for value in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
