"""Keras → a folder of C sources for LiteRT for Microcontrollers (tflite-micro)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_se._validation import one_of, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.microcontroller import FORMAT
from keras_se.export.microcontroller.arena import Arena, estimated_arena
from keras_se.export.microcontroller.c_source import identifier, is_identifier
from keras_se.export.microcontroller.golden import golden_vectors
from keras_se.export.microcontroller.manifest import sha256, write_manifest
from keras_se.export.microcontroller.resolver import micro_methods
from keras_se.export.microcontroller.sources import Program
from keras_se.export.pipeline import write_verified
from keras_se.export.request import ExportRequest, full_request
from keras_se.export.tflite import convert as tflite
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.quantize import write_floats

__all__ = ["resolve", "to_microcontroller", "write", "write_floats"]

# Golden samples, at most, if no other number is asked for.
GOLDEN = 4


@dataclass(frozen=True)
class Plan:
    """How the sources are named, and how many golden samples they have at most."""

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
    """Writes a folder with a TFLite file as C source, and what a program for LiteRT for Microcontrollers needs.

    In it are, for a network called `name`:

    - `name.tflite`, the file that `to_tflite` writes, verified, without metadata: memory is scarce there;
    - `name_model.h` and `.cc`, the same as an aligned array;
    - `name_ops.h`, which adds its operations to a `tflite::MicroMutableOpResolver`;
    - `name_settings.h`, with an estimate of the memory it needs, and shape and quantization of inputs and outputs;
    - `name_golden.h` and `.cc`, samples and what LiteRT's reference kernels compute of them;
    - `main.cc`, which runs these samples on the device and compares;
    - `README.md`, and `manifest.json` with everything in numbers, and the metadata that other files carry.

    The same model, data and versions give the same bytes.

    Example:

    >>> from keras_se.export import to_microcontroller
    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(alpha=0.25, input_shape=(96, 96, 3), classes=10)
    >>> data = {"quantize": "int8", "calibration_data": "images.npy"}
    >>> artifact = to_microcontroller(model, "se_mobilenet", **data)  # doctest: +SKIP

    Args:
        model: A functional or Sequential `keras.Model`.
        path: The folder to make.
        quantize: `"int8"`, `"int16x8"`, or `None` for floats.
        calibration_data: What int8 and int16x8 learn ranges from, and are verified on, as in `to_tflite`.
        io_dtype: The type of the inputs and outputs: `"int8"` or `"uint8"` with int8, `"int16"` with int16x8, or
            `"float32"`. By default that of the network, so that the device has nothing to convert.
        batch_size: 1: the runtime takes one sample at a time here.
        input_shape: Shape without the batch, needed where the model's own has unknown sizes.
        optimize: Whether to rewrite the graph before conversion, as in `to_tflite`.
        verification_data: Inputs to verify the file on, and of which golden ones are taken; by default calibration
            data, or random.
        preprocessing: Whether the network takes pixels, as in `to_tflite`.
        labels: Names of the output's channels, for the manifest: a list of strings, a text file with one on each
            line, or `"imagenet"`.
        overwrite: Whether to replace a folder that an export wrote and nobody has changed since.
        name: What files, arrays and constants are called: letters, digits and `_`. Made of the model's by default.
        golden: How many golden samples, at most; as many as there are otherwise.

    Returns:
        An `Artifact` of the folder. `predict` runs the TFLite file in LiteRT.

    Raises:
        ValueError: for an argument that cannot be right.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
        ExportError: if the conversion fails, the file does not compute what the model computes, or it has an operation
            that the runtime lacks.
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
    """A request with the options of C sources.

    Raises:
        ValueError: for an option that cannot be right, or a network that the mode does not support.
    """
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
    golden = golden_vectors(file, request.samples, request.plan.golden, request.mode.golden_steps)
    program = Program(name, content, graph, micro_methods(graph), estimated_arena(graph), golden, request.quantize)
    for file_name, text in program.sources().items():
        (path / file_name).write_text(text, encoding="utf-8")
    write_manifest(path, _facts(program, sha256(file)))
    return notes


def _name(given: str | None, model_name: str) -> str:
    if given is None:
        return identifier(model_name)
    if not isinstance(given, str) or not is_identifier(given):
        raise ValueError(
            "name must be what C calls an identifier: letters, digits and single _ between them, a letter first. "
            f"Received: name={given!r}"
        )
    return given


def _facts(program: Program, digest: str) -> dict[str, Any]:
    graph, golden = program.graph, program.golden
    return {
        "name": program.name,
        "model": {"file": f"{program.name}.tflite", "size": len(program.content), "sha256": digest},
        "arena": _arena_facts(program.arena),
        "operations": graph.operation_counts(),
        "classes": program.classes,
        "golden": {"samples": golden.samples, "tolerances": golden.tolerances},
    }


def _arena_facts(arena: Arena) -> dict[str, int]:
    return {
        "tensors": arena.tensors,
        **{f"persistent_{8 * word}_bit": size for word, size in arena.persistent.items()},
        **{f"estimate_{8 * word}_bit": arena.total(word) for word in arena.persistent},
    }
