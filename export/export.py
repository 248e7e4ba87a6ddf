"""Exports a model to several formats and modes in one call."""

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_se._files import check_target
from keras_se._validation import one_of
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import CalibrationData
from keras_se.export.data.evaluation import evaluation_of
from keras_se.export.formats import FORMATS, Format, replaceable_export
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.modes import MODES, Mode
from keras_se.export.pipeline import beside, write_verified
from keras_se.export.report.write import check_report, write_report
from keras_se.export.request import ExportRequest, Source, check_calibration, resolve_request

DEFAULT_FORMATS = ("saved_model", "tflite", "onnx")


class Job(NamedTuple):
    """A file that `export` writes."""

    format: Format
    mode: Mode
    path: Path


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
    opset: int | None = None,
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
        formats: A name in `FORMATS`, or a list of names. `"microcontroller"` is written only if named.
        quantize: A mode, or a list of modes. A format that does not support a mode is written once, in floats.
        calibration_data, keep, keep_as, io_dtype, batch_size, input_shape, opset, layout, optimize, verification_data,
            labels, overwrite: As in `to_saved_model`, `to_tflite`, `to_onnx` and `to_microcontroller`. Each file gets
            the options that its format and mode support; an option that no file supports is an error.
        preprocessing: Whether files take unprepared images, pixels from 0 to 255: `True` for a model of
            `keras_se.weights.load`, or a `keras_se.weights.Preprocessing`. Inputs are then `uint8`, except for int16x8
            (float32); so are the outputs of int8 and selective files, unless `io_dtype` is `"int8"`. Calibration and
            verification data are pixels.
        signatures: Further signatures of the SavedModel, as in `to_saved_model`. With these, its `serving_default`
            takes the model's inputs, with or without `preprocessing`.
        metadata_file: Whether to also write the metadata of TFLite and ONNX files to a file beside each.
        report: Whether to write a page about the files beside them, `<name>_report.html`: see `write_report`.
        evaluation_data: Labelled data for the report, `(x, y)` or an `.npz` file with `x` and `y`; pixels if
            `preprocessing` is given.
        on_start: Called with each path before it is written, to show progress.

    Returns:
        An `Artifact` for each file, in the order of `formats` and `quantize`.

    Raises:
        ValueError: for an invalid argument, before any file is written.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to; also before.
        ExportError: if a conversion fails, or a file does not compute what the model computes. Files that were
            finished before stay.
    """
    modes = [one_of("quantize", mode, tuple(MODES)) for mode in _listed("quantize", quantize, (str, type(None)))]
    formats = [one_of("formats", name, tuple(FORMATS)) for name in _listed("formats", formats, (str,))]
    if not formats or not modes:
        raise ValueError(
            f"formats and quantize must not be empty lists. Received: formats={formats!r}, quantize={quantize!r}"
        )
    if not any(mode in FORMATS[name].modes for mode in modes for name in formats):
        raise ValueError(
            f"quantize must be a mode that one of the formats supports. Received: quantize={modes}, formats={formats}"
        )
    if metadata_file and all(FORMATS[name].is_folder for name in formats):
        single = " or ".join(row.name for row in FORMATS.values() if not row.is_folder)
        raise ValueError(f"metadata_file requires a format of single files, {single}. Received: formats={formats}")
    jobs = planned(getattr(model, "name", "model"), directory, formats, modes)
    check_calibration(calibration_data, [job.mode for job in jobs])
    given = {
        "keep": keep,
        "keep_as": keep_as,
        "io_dtype": io_dtype,
        "input_shape": input_shape,
        "opset": opset,
        "layout": layout,
        "signatures": signatures,
    }
    given = {name: value for name, value in given.items() if not _is_default(name, value)}
    _check_taken(given, jobs)
    if not Path(directory).is_dir():
        raise NotADirectoryError(f"directory must be a folder that exists. Received: {str(directory)!r}")
    if evaluation_data is not None and not report:
        raise ValueError(f"evaluation_data requires report=True. Received: report={report!r}")
    source = Source(model, preprocessing)
    # All requests and paths are checked before data are read and files are written.
    shared = {"labels": labels, "optimize": optimize, "batch_size": batch_size}
    requests = [resolve_request(job.format, source, job.mode.name, **shared, **_taken(given, job)) for job in jobs]
    page = report_path(model.name, directory)
    if report:
        check_report(page, overwrite)
    for job in jobs:
        check_target(job.path, overwrite, replaceable_export)
        if metadata_file and not job.format.is_folder:
            check_target(beside(job.path), overwrite)
    calibration, verification_data = _read_once(requests, calibration_data, verification_data)
    requests = [
        request.with_data(calibration if request.mode.calibrated else None, verification_data) for request in requests
    ]
    evaluation = None
    if evaluation_data is not None:
        evaluation = evaluation_of(source.inference(), evaluation_data, pixels=source.takes_pixels)
    start = on_start or (lambda path: None)
    artifacts = []
    for job, request in zip(jobs, requests, strict=True):
        start(job.path)
        file = metadata_file and not job.format.is_folder
        artifacts.append(write_verified(request, job.path, metadata_file=file, overwrite=overwrite))
    if report:
        start(page)
        data = (verification_data if calibration is None else calibration) if evaluation is None else None
        about = {"data": data, "evaluation_data": evaluation, "preprocessing": source.preprocessing or False}
        write_report(model, page, artifacts, **about, overwrite=overwrite)
    return artifacts


def _is_default(name: str, value: Any) -> bool:
    """Whether an option of `export` has its default value."""
    default = inspect.signature(export).parameters[name].default
    given = tuple(value) if isinstance(value, list) else value
    return given is default or (isinstance(given, str | tuple) and given == default)


def _check_taken(given: Mapping[str, Any], jobs: Sequence[Job]) -> None:
    """Refuses an option that none of the files supports."""
    for name, value in given.items():
        if any(job.format.takes(name, job.mode, value) for job in jobs):
            continue
        supported = []
        for row in FORMATS.values():
            modes = [mode for mode in row.modes if row.takes(name, MODES[mode], value)]
            if modes:
                only = "" if len(modes) == len(row.modes) else f" with quantize={' or '.join(map(repr, modes))}"
                supported.append(f"formats={row.name!r}{only}")
        if not supported:  # an `io_dtype` that no mode supports
            known = dict.fromkeys(dtype for mode in MODES.values() for dtype in mode.io_dtypes)
            raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}. Received: {name}={value!r}")
        raise ValueError(
            f"{name}={value!r} requires {' or '.join(supported)}. "
            f"Received: formats={[job.format.name for job in jobs]}, quantize={[job.mode.name for job in jobs]}"
        )


def _taken(given: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The options that a file supports."""
    return {name: value for name, value in given.items() if job.format.takes(name, job.mode, value)}


def _read_once(
    requests: Sequence[ExportRequest], calibration_data: Any, verification_data: Any
) -> tuple[CalibrationData | None, CalibrationData | None]:
    """Calibration and verification data, each read once, for the request that is strictest about its inputs."""
    strictest = min(requests, key=lambda request: (not request.mode.calibrated, not request.format.fixed_sizes))
    calibration = verification = None
    if strictest.mode.calibrated:
        calibration = strictest.read(calibration_data, "calibration_data")
    if verification_data is not None:
        verification = strictest.read(verification_data, "verification_data")
    return calibration, verification


def _listed(name: str, value: Any, types: tuple[type, ...]) -> tuple[Any, ...]:
    """A value or a list of values, as a tuple."""
    values = (value,) if isinstance(value, types) or not isinstance(value, Iterable) else tuple(value)
    if not all(isinstance(one, types) for one in values):
        raise ValueError(f"{name} must be a string or a list of strings. Received: {name}={value!r}")
    return values


def report_path(name: str, directory: str | os.PathLike) -> Path:
    """The page that `export` writes."""
    return Path(directory) / f"{_stem(name)}_report.html"


def planned(name: str, directory: str | os.PathLike, formats: Sequence[str], modes: Sequence[str | None]) -> list[Job]:
    """The files that `export` writes, in order."""
    return [
        Job(row, mode, Path(directory) / f"{_stem(name)}{f'_{mode.name}' if mode.name else ''}{row.suffix}")
        for row in dict.fromkeys(FORMATS[row] for row in formats)
        for mode in dict.fromkeys(MODES[mode if mode in row.modes else None] for mode in modes)
    ]


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
