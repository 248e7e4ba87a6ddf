"""Keras → TFLite."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from keras_se._validation import one_of, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import batches, calibration_feeds, refuse_calibration
from keras_se.export.data.labels import labels_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.errors import require
from keras_se.export.formats import CALIBRATED, FORMATS
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import Tensor as Input
from keras_se.export.metadata import Facts
from keras_se.export.passes.lower_for_runtime import FOR_INT8, spell_out_hard_swish
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.pipeline import resolved_inputs, verification_feeds, write_verified
from keras_se.export.saved_model.convert import save
from keras_se.export.saved_model.runner import SIGNATURE
from keras_se.export.tflite.quantize import _dynamic, _int8
from keras_se.export.tflite.selective import Choice, chosen_layers, quantized_but
from keras_se.export.tflite.unsupported import refuse_mode, refuse_while
from keras_se.graph.rewrite import Rewrite

# What the inputs and outputs of a file can be, for each mode.
IO_DTYPES = {
    None: ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
    "selective": ("float32", "int8", "uint8"),
}


# What the kernels of a mode, or the delegate's, lack.
REWRITES: Mapping[str | None, Sequence[Rewrite]] = {
    "int8": FOR_INT8,
    "selective": FOR_INT8,
    "int16x8": (spell_out_hard_swish,),
}


@on_any_backend
def to_tflite(
    model: Any,
    path: str | os.PathLike,
    *,
    quantize: str | None = None,
    calibration_data: Any = None,
    keep: Any = None,
    keep_as: str | None = None,
    io_dtype: str = "float32",
    batch_size: int = 1,
    input_shape: Any = None,
    optimize: bool = True,
    verification_data: Any = None,
    preprocessing: Any = False,
    labels: Any = None,
    metadata: bool = True,
    metadata_file: bool = False,
    overwrite: bool = False,
) -> Artifact:
    """Writes a TFLite file of built-in operations only, for LiteRT on phones, boards and microcontrollers.

    Example:

    >>> from keras_se.export import to_tflite
    >>> from keras_se.models import SEMobileNet
    >>> artifact = to_tflite(SEMobileNet(alpha=0.25), "se_mobilenet.tflite", quantize="dynamic")  # doctest: +SKIP

    Args:
        model: A functional or Sequential `keras.Model`.
        path: The file to write.
        quantize: `None`; `"float16"` (weights in half the size); `"dynamic"` (8-bit weights of dense layers and of
            convolutions but depthwise ones, activations quantized while running); `"int8"` (all in 8 bits, weights per
            channel, but for the boxes of a detector); `"int16x8"` (16-bit activations, 8-bit weights); `"selective"`
            (as int8, but for chosen layers).
        calibration_data: What int8, int16x8 and selective learn ranges from, and are verified on: see
            `keras_se.export.data.calibration`. About 100 samples, prepared as for training.
        keep: For selective, the layers that are not in 8 bits: `"se"` (the default), every squeeze-and-excitation
            layer; or a regular expression that matches the whole name of a layer (of a layer in a model in the model,
            its name or its path, `backbone/stage1_se`); or several. What was fused of several layers is kept if one
            of them is. With float outputs a softmax that makes one is in floats in any case.
        keep_as: For selective, what these layers are instead: `"float32"` (the default), or `"int16"` (16-bit
            activations, 8-bit weights), which LiteRT's delegate leaves to far slower kernels.
        io_dtype: The type of the file's inputs and outputs: `"float32"`; `"int8"` or `"uint8"` with int8 and selective,
            `"int16"` with int16x8. The outputs of a detector (`with_detections`) are floats in any case.
        batch_size: The file's fixed batch.
        input_shape: Shape without the batch (a mapping by name for several inputs), needed where the model's own
            has unknown sizes.
        optimize: Whether to rewrite the graph before conversion: exactly, and for int8, int16x8 and selective with
            constant SE gates made constants (`keras_se.export.passes.pass_pipeline`).
        verification_data: Inputs to verify the file on; by default calibration data, or random.
        preprocessing: Whether the file takes pixels, as in `export`: of uint8, but for int16x8 (float32). The outputs
            of an int8 file are uint8, too, if `io_dtype` is not `"int8"`.
        labels: Names of the output's channels, for the file's metadata: a list of strings, a text file with one on each
            line, or `"imagenet"`.
        metadata: Whether the file carries its metadata (`read_metadata`), one or two kilobytes.
        metadata_file: Whether to write the metadata to a file beside it, too: the path with `.json` at its end.
        overwrite: Whether to replace a file that exists.

    Returns:
        An `Artifact`.

    Raises:
        ValueError: for an argument that cannot be right.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
        ExportError: if the conversion fails, or the file does not compute what the model computes.
    """
    one_of("quantize", quantize, FORMATS["tflite"].modes)
    refuse_calibration(calibration_data, (quantize,))
    prepared = preprocessing_of(model, preprocessing)
    pixels = prepared is not None
    io_dtype = ends_dtype(io_dtype, quantize, pixels)
    one_of("io_dtype", io_dtype, IO_DTYPES[quantize], f" with quantize={quantize!r}")
    batch_size = positive_integer("batch_size", batch_size)
    inference = prepared_model(model, prepared, image_dtype(quantize))
    refuse_mode(inference, quantize)
    choice = chosen_layers(inference.model, quantize, keep, keep_as)
    inputs = resolved_inputs(inference.inputs, input_shape)
    calibration = calibration_feeds(inputs, calibration_data, pixels=pixels) if quantize in CALIBRATED else None
    feeds = verification_feeds(inputs, calibration if verification_data is None else verification_data, pixels=pixels)

    options = stated(optimize, io_dtype, batch_size, None if input_shape is None else inputs, choice)
    facts = Facts(model, options, prepared, labels_of(labels, inference.outputs))

    def write(staged: Path) -> list[str]:
        source, notes = inference, list[str]()
        if optimize:
            source, notes = optimized(inference, calibration, REWRITES.get(quantize, ()))
        if choice is None or calibration is None:
            content, more = _converted(source, inputs, batch_size, quantize, calibration, io_dtype), list[str]()
        else:
            content, more = _selective(source, inputs, batch_size, choice, calibration, io_dtype)
        staged.write_bytes(content)
        return notes + more

    return write_verified(
        inference,
        path,
        format="tflite",
        write=write,
        feeds=feeds,
        quantize=quantize,
        calibration=calibration,
        facts=facts,
        embed=metadata,
        metadata_file=metadata_file,
        overwrite=overwrite,
    )


def ends_dtype(io_dtype: str, quantize: str | None, pixels: bool) -> str:
    """The type of inputs and outputs, where `"float32"` may be nobody's wish: pixels are bytes."""
    return "uint8" if pixels and quantize in ("int8", "selective") and io_dtype == "float32" else io_dtype


def image_dtype(quantize: str | None) -> str:
    """The type of pixels in Keras. A quantizer wants floats: the file's own input is made uint8 by `io_dtype`."""
    return "float32" if quantize in CALIBRATED else "uint8"


def stated(
    optimize: bool, io_dtype: str, batch_size: int, inputs: Sequence[Input] | None, choice: Choice | None = None
) -> dict[str, Any]:
    """The options that a file's metadata tell; `inputs` have the sizes that were asked for."""
    shapes = None if inputs is None else {tensor.name: list(tensor.shape) for tensor in inputs}
    options = {"optimize": optimize, "io_dtype": io_dtype, "batch_size": batch_size, "input_shape": shapes}
    return options | ({"keep": list(choice.patterns), "keep_as": choice.kept_as} if choice else {})


def float_file(model: InferenceModel, inputs: tuple[Input, ...], batch_size: int) -> bytes:
    """The bytes of a file in floats."""
    return _converted(model, inputs, batch_size, None, None, "float32")


def _converted(
    model: InferenceModel,
    inputs: tuple[Input, ...],
    batch_size: int,
    quantize: str | None,
    calibration: Mapping[str, np.ndarray] | None,
    io_dtype: str,
) -> bytes:
    """The bytes of the file. The only place that knows TensorFlow's converter and LiteRT's quantizer."""
    tf = require("tensorflow", "tflite")
    with tempfile.TemporaryDirectory() as folder, _quiet():
        function = save(model, Path(folder), batch_size, {tensor.name: tensor.shape for tensor in inputs})
        if calibration is not None:
            refuse_while(function, quantize)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        sets = tf.lite.OpsSet
        operations = {
            "int8": sets.TFLITE_BUILTINS_INT8,
            "int16x8": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        converter.target_spec.supported_ops = [operations.get(quantize or "", sets.TFLITE_BUILTINS)]
        if quantize == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        elif calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: batches(calibration, batch_size)
            if quantize == "int8":
                return _int8(converter, model, calibration, batch_size, getattr(tf, io_dtype))
            converter.inference_input_type = converter.inference_output_type = getattr(tf, io_dtype)
        content = converter.convert()
        return _dynamic(content) if quantize == "dynamic" else content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter prints, and its warnings of what is as it should be."""
    with (
        open(os.devnull, "w") as nowhere,
        warnings.catch_warnings(),
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),  # bars of progress
    ):
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected", UserWarning)
        warnings.filterwarnings("ignore", r"(?s).*tf\.lite\.Interpreter is deprecated", UserWarning)
        yield


def _selective(
    model: InferenceModel,
    inputs: tuple[Input, ...],
    batch_size: int,
    choice: Choice,
    calibration: Mapping[str, np.ndarray],
    io_dtype: str,
) -> tuple[bytes, list[str]]:
    content = float_file(model, inputs, batch_size)
    with _quiet():
        return quantized_but(content, model, choice, calibration=calibration, io_dtype=io_dtype, batch_size=batch_size)
