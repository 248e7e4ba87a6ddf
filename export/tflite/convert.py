"""Keras → TFLite."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_se._validation import one_of
from keras_se.export.artifact import Artifact
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.pipeline import write_verified
from keras_se.export.request import ExportRequest, full_request
from keras_se.export.tflite import FORMAT
from keras_se.export.tflite.quantize import write_floats
from keras_se.export.tflite.selective import chosen_layers
from keras_se.export.tflite.unsupported import refuse_mode

__all__ = ["resolve", "to_tflite", "write", "write_floats"]


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
    """Writes a TFLite file of built-in operations, for LiteRT on phones, boards and microcontrollers.

    Example:

    >>> from keras_se.export import to_tflite
    >>> from keras_se.models import SEMobileNet
    >>> artifact = to_tflite(SEMobileNet(alpha=0.25), "se_mobilenet.tflite", quantize="dynamic")  # doctest: +SKIP

    Args:
        model: A functional or Sequential `keras.Model`.
        path: The file to write.
        quantize: `None`; `"float16"` (weights in half the size); `"dynamic"` (8-bit weights of dense layers and of
            convolutions except depthwise ones, activations quantized while running); `"int8"` (all in 8 bits, weights
            per channel, except the boxes of a detector); `"int16x8"` (16-bit activations, 8-bit weights);
            `"selective"` (as int8, except chosen layers).
        calibration_data: Data that int8, int16x8 and selective learn ranges from and are verified on: see
            `keras_se.export.data.calibration`. About 100 samples, prepared as for training.
        keep: For selective, the layers that are not in 8 bits: `"se"` (the default), every squeeze-and-excitation
            layer; or a regular expression that matches the whole name of a layer, or its path if it is in a nested
            model (`backbone/stage1_se`); or a list of these. An operation that was fused from several layers is kept
            if one of them is. A softmax that makes a float output always stays in floats.
        keep_as: For selective, the type of these layers: `"float32"` (the default), or `"int16"` (16-bit activations,
            8-bit weights), which LiteRT's delegate leaves to far slower kernels.
        io_dtype: The type of the file's inputs and outputs: `"float32"`; `"int8"` or `"uint8"` with int8 and selective,
            `"int16"` with int16x8. The outputs of a detector (`with_detections`) are always floats.
        batch_size: The file's fixed batch.
        input_shape: Shape without the batch (a mapping by name for several inputs), required where the model's own
            has unknown sizes.
        optimize: Whether to rewrite the graph before conversion: exactly, and for int8, int16x8 and selective with
            constant SE gates made constants (`keras_se.export.passes.pass_pipeline`).
        verification_data: Inputs to verify the file on; by default calibration data, or random inputs.
        preprocessing: Whether the file takes pixels, as in `export`: uint8, except for int16x8 (float32). The outputs
            of an int8 file are then also uint8, unless `io_dtype` is `"int8"`.
        labels: Names of the output's channels, for the file's metadata: a list of strings, a text file with one on each
            line, or `"imagenet"`.
        metadata: Whether the file carries its metadata (`read_metadata`), one or two kilobytes.
        metadata_file: Whether to also write the metadata to a file beside it: the path with `.json` at its end.
        overwrite: Whether to replace a file that exists.

    Returns:
        An `Artifact`.

    Raises:
        ValueError: for an invalid argument.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
        ExportError: if the conversion fails, or the file does not compute what the model computes.
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
        input_shape=input_shape,
        io_dtype=io_dtype,
        keep=keep,
        keep_as=keep_as,
    )
    return write_verified(request, path, embed=metadata, metadata_file=metadata_file, overwrite=overwrite)


def resolve(
    request: ExportRequest, *, io_dtype: str = "float32", keep: Any = None, keep_as: str | None = None
) -> ExportRequest:
    """Adds the options of TFLite files; a `ValueError` for an invalid one, or a network the mode does not support."""
    mode = request.mode
    if request.source.takes_pixels and io_dtype == "float32":  # the default: pixels are bytes
        io_dtype = mode.pixel_dtype
    one_of("io_dtype", io_dtype, mode.io_dtypes, f" with quantize={mode.name!r}")
    refuse_mode(request.inference, mode.name)
    choice = chosen_layers(request.inference.model, mode.name, keep, keep_as)
    kept = {"keep": list(choice.patterns), "keep_as": choice.kept_as} if choice else {}
    return replace(request, options={"io_dtype": io_dtype, **request.options, **kept}, plan=choice)


def write(request: ExportRequest, path: Path) -> Sequence[str]:
    """Writes the file, and returns notes."""
    source, notes = request.optimized()
    content, more = request.format.writer(request.mode)(source, request)
    path.write_bytes(content)
    return [*notes, *more]
