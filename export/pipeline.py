"""The steps that every format shares: write to a staging place, run, compare, and only then give the file its name."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_se._files import check_target, published
from keras_se._validation import positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import calibration_feeds
from keras_se.export.data.image_folder import summary
from keras_se.export.errors import ExportError
from keras_se.export.formats import FORMATS
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import Tensor, random_feeds
from keras_se.export.metadata import Facts, carrier, with_parity
from keras_se.export.verification.parity import SAMPLES

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def write_verified(
    model: InferenceModel,
    path: str | os.PathLike,
    *,
    format: str,
    write: Callable[[Path], Sequence[str]],
    feeds: dict[str, np.ndarray],
    facts: Facts,
    quantize: str | None = None,
    calibration: Mapping[str, np.ndarray] | None = None,
    check: Callable[[Artifact], None] | None = None,
    embed: bool = True,
    metadata_file: bool = False,
    overwrite: bool = False,
) -> Artifact:
    """Writes a file with `write`, which returns notes, and publishes it if it computes what the model computes.

    `check` looks at more of the file, and raises an `ExportError`. `facts` become the file's metadata (`embed`), and
    those of a file beside it (`metadata_file`).

    Raises:
        ExportError: if the conversion fails, the file does not run, or its outputs are too far from the model's.
    """
    suffix = Path(path).suffix
    if suffix != FORMATS[format].suffix and suffix in {row.suffix for row in FORMATS.values()}:
        raise ValueError(f"The path of a {format} file must not end in {suffix}. Received: {str(path)!r}")
    with ExitStack() as places:
        if metadata_file:
            check_target(Path(f"{os.fspath(path)}.json"), overwrite)
        staged = places.enter_context(published(path, overwrite))
        try:
            notes = tuple(write(staged))
            carries = carrier(FORMATS[format])
            document = facts.document(model, format, quantize, carries.tensors(staged), calibration)
            artifact = Artifact(staged, format, quantize, notes=notes).verified(model, feeds)
            if check is not None:
                check(artifact)
        except (ExportError, ImportError, OSError):
            raise
        except Exception as error:  # converters and runtimes raise anything
            reason = _reason(error)
            mode = f" {quantize}" if quantize else ""
            raise ExportError(f"{model.model.name} has no working{mode} {format} form: {reason}") from error
        assert artifact.parity is not None
        if not artifact.parity.passed:
            raise ExportError(
                f"The {format} file of {model.model.name} does not compute what the Keras model computes: "
                f"{artifact.parity}"
            )
        parity, seen = artifact.parity, None if calibration is None else summary(calibration)
        # Without the runner, which has the staged file open.
        artifact = replace(artifact, path=Path(path).absolute(), calibration=seen)
        document = with_parity(document, parity)
        if embed:
            carries.embed(staged, json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
        if metadata_file:
            # It gets its name before the file does: the file is what tells that all is done.
            beside = places.enter_context(published(f"{os.fspath(path)}.json", overwrite))
            beside.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return artifact


def _reason(error: Exception) -> str:
    # Keras tells which layer was called, what happened in bold letters, and then with which arguments.
    text = COLOURS.sub("", str(error)).split("Arguments received by ")[0]
    _, called, told = text.rpartition("Exception encountered when calling ")
    layer, _, told = told.partition("\n") if called else ("", "", text)
    if layer and told.strip():
        return f"{layer.strip().rstrip('.')}: {_line(told)}"
    return _line(text) or type(error).__name__


def _line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    # TensorFlow puts the path through the code first, and what happened last.
    return lines[-1] if lines[0].startswith("in user code") else lines[0]


def verification_feeds(inputs: Sequence[Tensor], data: Any, *, pixels: bool = False) -> dict[str, np.ndarray]:
    """The samples that a file is verified on: the first ones of `data`, or random ones."""
    if data is None:
        return random_feeds(inputs, SAMPLES)
    given = calibration_feeds(inputs, data, "verification_data", pixels=pixels)
    return {name: column[:SAMPLES] for name, column in given.items()}


def resolved_inputs(inputs: Sequence[Tensor], input_shape: Any) -> tuple[Tensor, ...]:
    """The inputs with every size known: those of the model, or `input_shape` where it has unknown ones."""
    shapes: Mapping[str, Any]
    if input_shape is None:
        shapes = {}
    elif isinstance(input_shape, Mapping):
        shapes, names = input_shape, [tensor.name for tensor in inputs]
        if unknown := [name for name in shapes if name not in names]:
            raise ValueError(
                f"input_shape must be a shape, or a mapping from names of the inputs {names}. "
                f"Received: input_shape={input_shape!r}, with {unknown[0]!r}"
            )
    elif len(inputs) == 1:
        shapes = {inputs[0].name: input_shape}
    else:
        raise ValueError(
            f"input_shape must be a mapping from input name to shape. Received: input_shape={input_shape!r}"
        )
    return tuple(replace(tensor, shape=_known_shape(tensor, shapes.get(tensor.name))) for tensor in inputs)


def _known_shape(tensor: Tensor, given: Sequence[int] | None) -> tuple[int | None, ...]:
    try:
        shape = tuple(positive_integer("a size", size) for size in (tensor.shape if given is None else given))
        fits = len(shape) == len(tensor.shape) and all(
            size == (known or size) for size, known in zip(shape, tensor.shape, strict=True)
        )
    except (TypeError, ValueError):  # no sequence, or not of sizes
        fits = False
    if not fits:
        raise ValueError(
            f"input_shape must give every size of the input {tensor.name!r}, whose shape is {tensor.shape} without the "
            f"batch. Received: input_shape={given!r}"
        )
    return shape
