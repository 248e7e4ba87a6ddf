"""Keras → a folder of C sources for LiteRT for Microcontrollers (tflite-micro)."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_se._validation import one_of, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.errors import ExportError
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.microcontroller import FORMAT
from keras_se.export.microcontroller.arena import estimated_arena
from keras_se.export.microcontroller.c_source import identifier, is_identifier
from keras_se.export.microcontroller.golden import golden_vectors
from keras_se.export.microcontroller.manifest import write_manifest
from keras_se.export.microcontroller.sources import Program
from keras_se.export.pipeline import write_verified
from keras_se.export.request import ExportRequest, full_request
from keras_se.export.targets.tflite_micro_ops import METHODS
from keras_se.export.tflite import convert as tflite
from keras_se.export.tflite.graph import FileGraph, read_graph
from keras_se.export.tflite.quantize import write_floats

__all__ = ["resolve", "to_microcontroller", "write", "write_floats"]

# The default limit on golden samples.
GOLDEN = 4


@dataclass(frozen=True)
class Plan:
    """The prefix of names in the sources, and the largest number of golden samples."""

    name: str
    golden: int


@on_any_backend
def to_microcontroller(
    model: Any,
    path: str | os.PathLike,
    *,
    quantize: str | None = None,
    calibration_data: Any = None,
    io_dtype: str | None = None,
    batch_size: int = 1,
    input_shape: Any = None,
    optimize: bool = True,
    verification_data: Any = None,
    preprocessing: Any = False,
    labels: Any = None,
    overwrite: bool = False,
    name: str | None = None,
    golden: int = GOLDEN,
) -> Artifact:
    """Writes a folder with a TFLite file as C source, and a program for LiteRT for Microcontrollers around it.

    For a network called `name`, it contains:

    - `name.tflite`, the verified file of `to_tflite`, without metadata, since memory is scarce;
    - `name_model.h` and `.cc`, the same as an aligned array;
    - `name_ops.h`, which adds its operations to a `tflite::MicroMutableOpResolver`;
    - `name_settings.h`, with an estimate of its memory, and shape and quantization of inputs and outputs;
    - `name_golden.h` and `.cc`, samples and the outputs that LiteRT's reference kernels compute for them;
    - `main.cc`, which runs these samples on the device and compares;
    - `README.md`, and `manifest.json` with all figures and the metadata.

    The same model, data and versions give the same bytes.

    Example:

    >>> from keras_se.export import to_microcontroller
    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(alpha=0.25, input_shape=(96, 96, 3), classes=10)
    >>> data = {"quantize": "int8", "calibration_data": "images.npy"}
    >>> artifact = to_microcontroller(model, "se_mobilenet", **data)  # doctest: +SKIP

    Args:
        model, calibration_data, input_shape, optimize, preprocessing, labels: As in `to_tflite`.
        path: The folder to make.
        quantize: `"int8"`, `"int16x8"`, or `None` for floats.
        io_dtype: The type of the inputs and outputs: `"int8"` or `"uint8"` with int8, `"int16"` with int16x8, or
            `"float32"`. By default the network's own, so that the device converts nothing.
        batch_size: 1, since the runtime takes one sample at a time.
        verification_data: As in `to_tflite`. Golden samples are taken from it, too.
        overwrite: Whether to replace a folder that an export wrote and nobody has changed since.
        name: The prefix of files, arrays and constants: letters, digits and `_`. By default the model's name.
        golden: The largest number of golden samples.

    Returns:
        An `Artifact` of the folder. `predict` runs the TFLite file in LiteRT. Errors are as in `to_tflite`; an
        operation that the runtime does not support is also an `ExportError`.
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
        name=name,
        golden=golden,
    )
    return write_verified(request, path, overwrite=overwrite)


def resolve(
    request: ExportRequest, *, io_dtype: str | None = None, name: str | None = None, golden: int = GOLDEN
) -> ExportRequest:
    """Adds the options of C sources, to those of TFLite files; a `ValueError` for an invalid one."""
    if io_dtype is None:
        io_dtype = "float32" if request.source.takes_pixels else request.mode.native_dtype
    one_of("batch_size", request.batch_size, (1,), " for microcontrollers")
    plan = Plan(_name(name, request.inference.model.name), positive_integer("golden", golden))
    return replace(tflite.resolve(request, io_dtype=io_dtype), plan=plan)


def write(request: ExportRequest, path: Path) -> Sequence[str]:
    """Writes the folder, and returns notes."""
    path.mkdir()
    name = request.plan.name
    file = path / f"{name}.tflite"
    notes = tflite.write(request, file)
    content = file.read_bytes()
    graph = read_graph(content)
    methods = _methods(graph)  # an operation that boards lack is named before LiteRT runs the file
    golden = golden_vectors(file, request.samples, request.plan.golden, request.mode.golden_steps)
    program = Program(name, content, graph, methods, estimated_arena(graph), golden, request.quantize)
    for file_name, text in program.sources().items():
        (path / file_name).write_text(text, encoding="utf-8")
    write_manifest(path, _facts(program))
    return notes


def _name(given: str | None, model_name: str) -> str:
    if given is None:
        return identifier(model_name)
    if not isinstance(given, str) or not is_identifier(given):
        raise ValueError(
            "name must be a C identifier: letters, digits and single _ between them, a letter first. "
            f"Received: name={given!r}"
        )
    return given


def _methods(graph: FileGraph) -> list[str]:
    """The resolver methods that add the graph's operations, in alphabetical order of the operations."""
    names = graph.operation_counts()
    if missing := [name for name in names if name not in METHODS]:
        raise ExportError(
            f"LiteRT for Microcontrollers does not support {', '.join(missing)}, which the converted network contains."
        )
    return [METHODS[name] for name in names]


def _facts(program: Program) -> dict[str, Any]:
    graph, arena, golden = program.graph, program.arena, program.golden
    digest = hashlib.sha256(program.content).hexdigest()
    return {
        "name": program.name,
        "model": {"file": f"{program.name}.tflite", "size": len(program.content), "sha256": digest},
        "arena": {
            "tensors": arena.tensors,
            **{f"persistent_{8 * word}_bit": size for word, size in arena.persistent.items()},
            **{f"estimate_{8 * word}_bit": arena.total(word) for word in arena.persistent},
        },
        "operations": graph.operation_counts(),
        "classes": program.classes,
        "golden": {"samples": golden.samples, "tolerances": golden.tolerances},
    }
