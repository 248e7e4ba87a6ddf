"""Keras → ONNX, run by ONNX Runtime."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.artifact import Artifact
from keras_se.export.calibration import calibration_feeds, refuse_calibration
from keras_se.export.errors import require
from keras_se.export.formats import CALIBRATED, FORMATS
from keras_se.export.in_floats import nodes_in_floats
from keras_se.export.inference import InferenceModel, Tensor, trace
from keras_se.export.kernels import spell_out_hard_swish
from keras_se.export.labels import labels_of
from keras_se.export.metadata import Facts
from keras_se.export.onnx_activations import hard_activations
from keras_se.export.onnx_names import rename
from keras_se.export.onnx_quantize import to_float16, to_int8
from keras_se.export.onnx_rewrites import means_to_poolings, paddings_to_windows, remove_identity_reshapes
from keras_se.export.onnx_sizes import keep_sizes
from keras_se.export.optimize import optimized
from keras_se.export.other_backends import on_any_backend
from keras_se.export.pipeline import option, verification_feeds, write_verified
from keras_se.export.preprocessing import prepared_model, preprocessing_of
from keras_se.export.saved_model import in_batches
from keras_se.export.scopes import scope_name
from keras_se.export.tf2onnx_memory import lean
from keras_se.export.tf2onnx_scalars import scalars
from keras_se.layers.gated import positive_integer
from keras_se.rewrite import layers_of
from keras_se.version import __version__

# What tf2onnx writes, and this package tests.
OPSETS = range(13, 19)
DEFAULT_OPSET = 17
LAYOUTS = ("nhwc", "nchw")
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
LAYOUT_KEY, QUANTIZE_KEY = "keras_se.layout", "keras_se.quantize"


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
        model: A functional or Sequential `keras.Model`.
        path: The file to write.
        quantize: `None`; `"float16"` (weights and arithmetic in 16-bit floats, half the size); `"int8"` (pairs of
            QuantizeLinear and DequantizeLinear: weights per channel, activations per tensor; a softmax, and the boxes
            of a detector, stay in floats). Inputs and outputs are floats in any case.
        calibration_data: What int8 learns ranges from, and is verified on: see `keras_se.export.calibration`.
        opset: The version of the operator set, from 13 to 18.
        layout: The layout of the file's image inputs and outputs (those of rank 4): `"nhwc"` as in Keras, or
            `"nchw"`, which saves a transposition. `Artifact.predict` takes and returns the Keras layout in any case.
        batch_size: A fixed batch, or `None` for any.
        optimize: Whether to rewrite the graph exactly, before conversion (`keras_se.export.optimize`) and after.
        verification_data: Inputs to verify the file on; by default calibration data, or random.
        preprocessing: Whether the file takes pixels, of uint8, as in `export`.
        labels: Names of the output's channels, for the file's metadata: a list of strings, a text file with one on each
            line, or `"imagenet"`.
        metadata_file: Whether to write the metadata to a file beside it, too: the path with `.json` at its end.
        overwrite: Whether to replace a file that exists.

    Returns:
        An `Artifact`.

    Raises:
        ValueError: for an argument that cannot be right.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
        ExportError: if the conversion fails, or the file does not compute what the model computes.
    """
    option("quantize", quantize, FORMATS["onnx"].modes)
    refuse_calibration(calibration_data, (quantize,))
    opset = option("opset", opset, OPSETS)
    option("layout", layout, LAYOUTS)
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    prepared = preprocessing_of(model, preprocessing)
    inference, pixels = prepared_model(model, prepared), prepared is not None
    calibration = None
    if quantize in CALIBRATED:
        calibration = calibration_feeds(inference.inputs, calibration_data, pixels=pixels)
    given = calibration if verification_data is None else verification_data
    feeds = verification_feeds(inference.inputs, given, pixels=pixels)

    facts = Facts(
        model,
        {"optimize": optimize, "opset": opset, "layout": layout, "batch_size": batch_size},
        prepared,
        labels_of(labels, inference.outputs),
    )

    def write(staged: Path) -> list[str]:
        onnx = require("onnx", "onnx")
        source, notes = inference, list[str]()
        if optimize:
            source, notes = optimized(inference, calibration, (spell_out_hard_swish,) if quantize == "int8" else ())
        graph = _converted(source, opset, layout, batch_size)
        if optimize:
            _optimize(graph, in_8_bits=quantize == "int8")
        # Before the graph is quantized, whose tensors are named after these.
        _rename(graph, source)
        if quantize == "float16":
            graph = to_float16(graph)
        elif calibration is not None:
            turned = {name: _turned(column, layout == "nchw", TO_NCHW) for name, column in calibration.items()}
            graph = to_int8(graph, turned, batch_size, nodes_in_floats(graph, source))
        _finish(graph, source, {LAYOUT_KEY: layout, QUANTIZE_KEY: quantize or "none"})
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, staged)
        return notes

    return write_verified(
        inference,
        path,
        format="onnx",
        write=write,
        feeds=feeds,
        quantize=quantize,
        calibration=calibration,
        facts=facts,
        metadata_file=metadata_file,
        overwrite=overwrite,
    )


def _converted(model: InferenceModel, opset: int, layout: str, batch_size: int | None) -> Any:
    """The graph in floats. The only place that knows tf2onnx."""
    tf2onnx = require("tf2onnx", "onnx")
    serve, function = trace(model, batch_size)
    nchw = layout == "nchw"

    @scalars()
    def convert() -> Any:
        return tf2onnx.convert.from_function(
            serve,
            input_signature=function.structured_input_signature[0],
            opset=opset,
            custom_op_handlers={"Erfc": (_erfc, [])},
            inputs_as_nchw=_images(model.inputs) if nchw else None,
            outputs_as_nchw=_images(model.outputs) if nchw else None,
        )[0]

    try:
        with lean():
            graph = convert()
    except Exception:  # of one of its passes, perhaps, which it can do without
        graph = convert()
    _hold_constants(graph, function)
    keep_sizes(graph)
    return graph


def _optimize(graph: Any, in_8_bits: bool) -> None:
    means_to_poolings(graph)
    remove_identity_reshapes(graph)
    paddings_to_windows(graph)
    if not in_8_bits:
        hard_activations(graph)


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """1 − Erf(x) in the place of Erfc(x), of which TensorFlow's GELU is made, and which ONNX does not have."""
    from tf2onnx.utils import map_onnx_to_numpy_type

    dtype = map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))
    one = graph.make_const(f"{name}__one", np.ones((), dtype))
    erf = graph.make_node("Erf", node.input)
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output)


def _finish(graph: Any, model: InferenceModel, properties: Mapping[str, str]) -> None:
    _rename(graph, model)
    _name_sizes(graph)
    graph.producer_name, graph.producer_version, graph.graph.name = "keras_se", __version__, model.model.name
    graph.graph.doc_string = graph.doc_string = ""  # tf2onnx writes there what differs each time
    require("onnx", "onnx").helper.set_model_props(graph, properties)


def _rename(graph: Any, model: InferenceModel) -> None:
    rename(graph, [scope_name(layer.name) for layer in layers_of(model.model)])


def _hold_constants(model: Any, function: Any) -> None:
    """Makes constants of the tensors that the traced function holds; tf2onnx makes inputs of them."""
    onnx = require("onnx", "onnx")
    held = {inner.name: outer for outer, inner in function.graph.captures if outer.dtype.name != "resource"}
    for value in [value for value in model.graph.input if value.name in held]:
        model.graph.input.remove(value)
        model.graph.initializer.append(onnx.numpy_helper.from_array(held[value.name].numpy(), value.name))


def _images(tensors: tuple[Tensor, ...]) -> list[str] | None:
    return [tensor.name for tensor in tensors if len(tensor.shape) == 3] or None


def _name_sizes(model: Any) -> None:
    # tf2onnx numbers unknown sizes; a name tells which are the same.
    for value in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"


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
        self.quantize = mode if mode in FORMATS["onnx"].modes else None
        self.steps = _steps(path, self.outputs) if self.quantize in CALIBRATED else {}
        self._nchw = metadata.get(LAYOUT_KEY, "nhwc") == "nchw"
        arguments = self._session.get_inputs()
        self.inputs = [Tensor(arg.name, self._outside(arg.shape), _DTYPES[arg.type]) for arg in arguments]
        batch = arguments[0].shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        def run_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            turned = {name: _turned(column, self._nchw, TO_NCHW) for name, column in batch.items()}
            outputs = self._session.run(self.outputs, turned)
            return {
                name: _turned(output, self._nchw, TO_NHWC) for name, output in zip(self.outputs, outputs, strict=True)
            }

        return in_batches(feeds, run_batch, self._batch)

    def _outside(self, shape: list[Any]) -> tuple[int | None, ...]:
        sizes = tuple(size if isinstance(size, int) else None for size in shape[1:])
        return (*sizes[1:], sizes[0]) if self._nchw and len(sizes) == 3 else sizes


def _turned(array: np.ndarray, nchw: bool, axes: tuple[int, ...]) -> np.ndarray:
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


_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
