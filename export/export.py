"""All formats in one call."""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_se._files import check_target
from keras_se._validation import one_of, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import calibration_feeds, refuse_calibration
from keras_se.export.data.evaluation import evaluation_of
from keras_se.export.data.labels import labels_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.formats import CALIBRATED, FORMATS, MODES, Format
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.frontend.replaceable import replaceable_export
from keras_se.export.onnx.convert import DEFAULT_OPSET, LAYOUTS, OPSETS
from keras_se.export.pipeline import resolved_inputs, verification_feeds
from keras_se.export.report.write import check_report, write_report
from keras_se.export.saved_model.signatures import names_of, serving_of
from keras_se.export.tflite.convert import IO_DTYPES
from keras_se.export.tflite.selective import MODE as SELECTIVE
from keras_se.export.tflite.selective import chosen_layers, refuse_keep
from keras_se.export.tflite.unsupported import refuse_mode

DEFAULT_FORMATS = ("saved_model", "tflite", "onnx")
# The formats whose files have no unknown sizes.
FIXED = ("tflite", "microcontroller")
# Those whose metadata can lie beside them, too; the others are folders, which have a file with it.
SINGLE_FILES = ("tflite", "onnx")


@on_any_backend
def export(
    model: Any,
    directory: str | os.PathLike,
    formats: str | Sequence[str] = DEFAULT_FORMATS,
    *,
    quantize: str | Sequence[str | None] | None = None,
    calibration_data: Any = None,
    keep: Any = None,
    keep_as: str | None = None,
    io_dtype: str = "float32",
    batch_size: int | None = None,
    input_shape: Any = None,
    opset: int = DEFAULT_OPSET,
    layout: str = "nhwc",
    optimize: bool = True,
    verification_data: Any = None,
    preprocessing: Any = False,
    signatures: Sequence[str] = (),
    labels: Any = None,
    metadata_file: bool = False,
    report: bool = False,
    evaluation_data: Any = None,
    overwrite: bool = False,
    on_start: Callable[[Path], None] | None = None,
) -> list[Artifact]:
    """Exports a model to several formats, and modes of quantization.

    Files are named after the model: `<name>_saved_model`, `<name>.tflite`, `<name>_int8.tflite`, `<name>.onnx`.

    Example:

    >>> from keras_se.export import export
    >>> from keras_se.models import SEResNet18
    >>> artifacts = export(SEResNet18(input_shape=(32, 32, 3)), ".", formats=("tflite",))  # doctest: +SKIP

    Args:
        model: A functional or Sequential `keras.Model`.
        directory: A folder that exists.
        formats: A name of `FORMATS`, or several: also `"microcontroller"`, if asked for.
        quantize: A mode, or several. A format that does not have a mode is written once, in floats.
        calibration_data, keep, keep_as, io_dtype, batch_size, input_shape, opset, layout, optimize, verification_data,
            overwrite: As in `to_saved_model`, `to_tflite`, `to_onnx` and `to_microcontroller`; each format gets those
            that it has. `io_dtype` applies to the modes that have it, and some mode must.
        preprocessing: Whether files take images as they are, pixels from 0 to 255: `True` for a model of
            `keras_se.weights.load`, or a `keras_se.weights.Preprocessing`. Inputs are `uint8` then, but for int16x8
            (float32); of int8 and selective files the outputs are, too, if `io_dtype` does not say otherwise.
            Calibration and verification data are pixels.
        signatures: Further signatures of the SavedModel, as in `to_saved_model`. With these, its `serving_default`
            takes what the model takes, whatever `preprocessing` says.
        labels: Names of the output's channels, for the metadata of all files, as in `to_tflite`.
        metadata_file: Whether to write the metadata of TFLite and ONNX files to a file beside each, too.
        report: Whether to write a page about the files beside them, `<name>_report.html`: see `write_report`.
        evaluation_data: Labelled data for the report, `(x, y)` or an `.npz` file with `x` and `y`: pixels, if
            `preprocessing` is given.
        on_start: Called with each path before it is written, to show progress.

    Returns:
        An `Artifact` for each file, in the order of `formats` and `quantize`.

    Raises:
        ValueError: for an argument that cannot be right.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to; before any is.
        ExportError: if a conversion fails, or a file does not compute what the model computes. Files that were
            finished before it stay.
    """
    modes = _several("quantize", quantize, (str, type(None)))
    formats = tuple(dict.fromkeys(_several("formats", formats, (str,))))
    if not formats or not modes:
        raise ValueError(
            f"formats must name a format, and quantize a mode. Received: formats={formats!r}, quantize={quantize!r}"
        )
    for name in formats:
        one_of("formats", name, tuple(FORMATS))
    if metadata_file and not any(name in SINGLE_FILES for name in formats):
        raise ValueError(
            f"metadata_file goes with a format of single files, {' or '.join(SINGLE_FILES)}. "
            f"Received: formats={list(formats)}"
        )
    for mode in modes:
        one_of("quantize", mode, MODES)
    if not any(mode in FORMATS[name].modes for mode in modes for name in formats):
        raise ValueError(
            f"quantize must be a mode that one of the formats has. Received: quantize={list(modes)}, "
            f"formats={list(formats)}"
        )
    _check_io_dtype(io_dtype, modes, formats)
    refuse_calibration(calibration_data, [mode for mode in modes if any(mode in FORMATS[one].modes for one in formats)])
    refuse_keep(keep, keep_as, modes)
    prepared, names = preprocessing_of(model, preprocessing), names_of(signatures)
    if names and "saved_model" not in formats:
        raise ValueError(f"signatures go with the format saved_model. Received: {names} with formats={list(formats)}")
    if not Path(directory).is_dir():
        raise NotADirectoryError(f"directory must be a folder that exists. Received: {str(directory)!r}")
    # What a format would refuse is refused before any file is written.
    opset = one_of("opset", opset, OPSETS)
    one_of("layout", layout, LAYOUTS)
    if "onnx" not in formats and (opset, layout) != (DEFAULT_OPSET, LAYOUTS[0]):
        raise ValueError(
            f"opset and layout go with the format onnx. Received: opset={opset}, layout={layout!r}, "
            f"formats={list(formats)}"
        )
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    # Data are checked as they are; each format makes of them what its file takes.
    inference, pixels = prepared_model(model, prepared, "float32"), prepared is not None
    for name, mode in itertools.product(formats, modes):
        if name in FIXED and mode in FORMATS[name].modes:
            refuse_mode(inference, mode)
    if SELECTIVE in modes:
        chosen_layers(inference.model, SELECTIVE, keep, keep_as)
    if verification_data is not None:  # which may be a generator
        verification_data = verification_feeds(inference.inputs, verification_data, pixels=pixels)
    serving_of(model, names, prepared)
    page = report_path(model.name, directory)
    if report:
        check_report(page, overwrite)
    elif evaluation_data is not None:
        raise ValueError(f"evaluation_data goes with report=True. Received: report={report!r}")
    if evaluation_data is not None:
        evaluation_data = evaluation_of(inference, evaluation_data, pixels=pixels).pair
    inputs = inference.inputs
    if input_shape is not None or any(name in FIXED for name in formats):
        inputs = resolved_inputs(inputs, input_shape)
    if any(mode in FORMATS[name].modes for name in formats for mode in modes if mode in CALIBRATED):
        calibration_data = calibration_feeds(inputs, calibration_data, pixels=pixels)

    own: dict[str, Callable[[str | None], dict[str, Any]]] = {
        "saved_model": lambda mode: {"batch_size": batch_size, "signatures": names},
        "onnx": lambda mode: {
            "quantize": mode,
            "calibration_data": calibration_data if mode in CALIBRATED else None,
            "batch_size": batch_size,
            "opset": opset,
            "layout": layout,
        },
        "tflite": lambda mode: {
            "quantize": mode,
            "calibration_data": calibration_data if mode in CALIBRATED else None,
            "keep": keep if mode == SELECTIVE else None,
            "keep_as": keep_as if mode == SELECTIVE else None,
            "io_dtype": _io_dtype(io_dtype, mode),
            "batch_size": batch_size or 1,
            "input_shape": input_shape,
        },
        "microcontroller": lambda mode: {
            "quantize": mode,
            "calibration_data": calibration_data if mode in CALIBRATED else None,
            "io_dtype": None if io_dtype == "float32" else _io_dtype(io_dtype, mode),
            "batch_size": batch_size or 1,
            "input_shape": input_shape,
        },
    }
    shared = {
        "optimize": optimize,
        "verification_data": verification_data,
        "preprocessing": prepared or False,
        "labels": labels_of(labels, inference.outputs),
        "overwrite": overwrite,
    }
    jobs = planned(model.name, directory, formats, modes)
    for row, _, path in jobs:
        check_target(path, overwrite, replaceable_export)
        if metadata_file and row.name in SINGLE_FILES:
            check_target(Path(f"{path}.json"), overwrite)
    artifacts = []
    started = on_start or (lambda path: None)
    for row, mode, path in jobs:
        started(path)
        options = own[row.name](mode) | ({"metadata_file": metadata_file} if row.name in SINGLE_FILES else {})
        artifacts.append(row.convert(model, path, **shared, **options))
    if report:
        started(page)
        seen = calibration_data if any(artifact.calibration for artifact in artifacts) else verification_data
        about = {
            "data": seen if evaluation_data is None else None,
            "evaluation_data": evaluation_data,
            "preprocessing": prepared or False,
        }
        write_report(model, page, artifacts, **about, overwrite=overwrite)
    return artifacts


def _several(name: str, value: Any, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """One value or several, as a tuple."""
    values = (value,) if isinstance(value, kinds) else tuple(value) if isinstance(value, Iterable) else (value,)
    wrong = [one for one in values if not isinstance(one, kinds)]
    if wrong:
        raise ValueError(f"{name} must be a name, or several. Received: {name}={value!r}")
    return values


def report_path(name: str, directory: str | os.PathLike) -> Path:
    """The page that `export` writes."""
    return Path(directory) / f"{_stem(name)}_report.html"


def planned(
    name: str, directory: str | os.PathLike, formats: Sequence[str], modes: Sequence[str | None]
) -> list[tuple[Format, str | None, Path]]:
    """The files that `export` writes, in order: format, mode, path."""
    return [
        (row, mode, Path(directory) / _file_name(name, mode, row))
        for row in (FORMATS[name] for name in formats)
        for mode in dict.fromkeys(mode if mode in row.modes else None for mode in modes)
    ]


def _check_io_dtype(io_dtype: str, modes: Sequence[str | None], formats: Sequence[str]) -> None:
    fixed = any(name in FIXED for name in formats)
    fits = any(io_dtype in IO_DTYPES[mode] for mode in modes) and (fixed or io_dtype == "float32")
    if not fits:
        raise ValueError(
            'io_dtype must be "float32", or one that a TFLite file of the quantization can have: "int8" or "uint8" '
            f'with int8 and selective, "int16" with int16x8. Received: io_dtype={io_dtype!r}, quantize={list(modes)}, '
            f"formats={list(formats)}"
        )


def _io_dtype(io_dtype: str, mode: str | None) -> str:
    return io_dtype if io_dtype in IO_DTYPES[mode] else "float32"


def _file_name(name: str, mode: str | None, row: Format) -> str:
    return f"{_stem(name)}_{mode}{row.suffix}" if mode else f"{_stem(name)}{row.suffix}"


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
