"""Keras → a folder of C sources for LiteRT for Microcontrollers (tflite-micro)."""

import os
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_se._files import check_target, published
from keras_se._validation import one_of, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import calibration_feeds, refuse_calibration
from keras_se.export.data.labels import labels_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.formats import CALIBRATED
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.metadata import Facts, with_parity
from keras_se.export.microcontroller.arena import Arena, estimated_arena
from keras_se.export.microcontroller.c_source import identifier, is_identifier
from keras_se.export.microcontroller.golden import golden_vectors
from keras_se.export.microcontroller.manifest import sha256, write_manifest
from keras_se.export.microcontroller.resolver import micro_methods
from keras_se.export.microcontroller.sources import Program
from keras_se.export.pipeline import resolved_inputs, verification_feeds
from keras_se.export.tflite.convert import IO_DTYPES, ends_dtype, image_dtype, stated, to_tflite
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.metadata import graph_tensors

# The modes that the runtime's kernels have, and the type of the ends of a file without other ones inside.
MODES = {None: "float32", "int8": "int8", "int16x8": "int16"}


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
    golden: int = 4,
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
    one_of("quantize", quantize, tuple(MODES), " for microcontrollers")
    refuse_calibration(calibration_data, (quantize,))
    prepared = preprocessing_of(model, preprocessing)
    pixels = prepared is not None
    if io_dtype is None:
        io_dtype = "float32" if pixels else MODES[quantize]
    io_dtype = ends_dtype(io_dtype, quantize, pixels)
    one_of("io_dtype", io_dtype, IO_DTYPES[quantize], f" with quantize={quantize!r}")
    one_of("batch_size", batch_size, (1,), " for microcontrollers")
    golden = positive_integer("golden", golden)
    inference = prepared_model(model, prepared, image_dtype(quantize))
    name = _name(name, inference.model.name)
    path = Path(path)
    check_target(path, overwrite)
    inputs = resolved_inputs(inference.inputs, input_shape)
    # Read once: data can be a generator.
    calibration = calibration_feeds(inputs, calibration_data, pixels=pixels) if quantize in CALIBRATED else None
    given = calibration if verification_data is None else verification_data
    if given is None:
        samples = verification_feeds(inputs, None)
    else:
        samples = calibration_feeds(inputs, given, "verification_data", pixels=pixels)
    options = stated(optimize, io_dtype, batch_size, None if input_shape is None else inputs)
    facts = Facts(model, options, prepared, labels_of(labels, inference.outputs))
    with published(path, overwrite) as staged:
        staged.mkdir()
        artifact = to_tflite(
            model,
            staged / f"{name}.tflite",
            quantize=quantize,
            calibration_data=calibration,
            io_dtype=io_dtype,
            input_shape=input_shape,
            optimize=optimize,
            verification_data=None if given is None else samples,
            preprocessing=prepared or False,
            metadata=False,
        )
        program = _write_sources(staged, name, artifact, samples, golden)
        tensors = graph_tensors(program.graph)
        document = facts.document(inference, "microcontroller", quantize, tensors, calibration)
        own = _facts(program, sha256(staged / f"{name}.tflite"))
        write_manifest(staged, {**with_parity(document, artifact.parity), **own})
    return replace(artifact, path=path.absolute(), format="microcontroller")


def _name(given: str | None, model_name: str) -> str:
    if given is None:
        return identifier(model_name)
    if not isinstance(given, str) or not is_identifier(given):
        raise ValueError(
            "name must be what C calls an identifier: letters, digits and single _ between them, a letter first. "
            f"Received: name={given!r}"
        )
    return given


def _write_sources(
    folder: Path, name: str, artifact: Artifact, samples: Mapping[str, np.ndarray], golden: int
) -> Program:
    file = folder / f"{name}.tflite"
    content = file.read_bytes()
    graph = read_graph(content)
    methods = micro_methods(graph)
    program = Program(name, content, graph, methods, estimated_arena(graph), golden_vectors(file, samples, golden))
    for file_name, text in program.sources().items():
        (folder / file_name).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_readme(program, artifact.quantize), encoding="utf-8")
    return program


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


def _readme(program: Program, quantize: str | None) -> str:
    name, arena, operations = program.name, program.arena, len(program.methods)
    paragraphs = (
        f"`{name}.tflite` is a network of {len(program.content):,} bytes that computes in {quantize or 'floats'}; "
        "LiteRT computes with it what Keras does, as `manifest.json` says in numbers. "
        f"`{name}_model.cc` has the file as an array, `{name}_ops.h` adds its operations, {operations} in all, to a "
        f"resolver, and `{name}_settings.h` says what its inputs and outputs mean.",
        "To build it into a project with [tflite-micro](https://github.com/tensorflow/tflite-micro), compile "
        f"`{name}_model.cc` with it, and include `{name}_model.h`, `{name}_ops.h` and `{name}_settings.h`. `main.cc` "
        "shows how they go together. Build that first, with all `.cc` files of this folder and the library: it runs "
        f"the samples of `{name}_golden.cc`, {program.golden.samples} in all, and returns 0 if the device computes "
        "what LiteRT's reference kernels do.",
        f"On a 32-bit processor the runtime needs about {arena.total():,} bytes of memory for it: {arena.tensors:,} "
        f"for tensors, and at most {arena.persistent[4]:,} that it keeps. This is an estimate for its reference "
        f"kernels; those made for a processor can need more, and `{name.upper()}_ARENA_SIZE` is to be raised for "
        "them. `main.cc` prints what was used.",
    )
    return "\n\n".join([f"# {name}", *(textwrap.fill(text, 120, break_on_hyphens=False) for text in paragraphs)]) + "\n"
