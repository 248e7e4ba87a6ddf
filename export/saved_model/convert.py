"""Keras → SavedModel."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from keras_se.export.artifact import Artifact
from keras_se.export.errors import require
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import clean_scopes
from keras_se.export.frontend.tracing import trace
from keras_se.export.pipeline import write_verified
from keras_se.export.request import ExportRequest, full_request
from keras_se.export.saved_model import FORMAT
from keras_se.export.saved_model.canonicalize import canonicalize
from keras_se.export.saved_model.runner import SIGNATURE
from keras_se.export.saved_model.signatures import names_of, serving_of


@on_any_backend
def to_saved_model(
    model: Any,
    path: str | os.PathLike,
    *,
    batch_size: int | None = None,
    optimize: bool = True,
    verification_data: Any = None,
    preprocessing: Any = False,
    signatures: Sequence[str] = (),
    labels: Any = None,
    overwrite: bool = False,
) -> Artifact:
    """Writes a TensorFlow SavedModel, which loads and serves without Keras.

    Its signature `serving_default` has the model's inputs and outputs by name. `signatures` adds others, with the same
    outputs: `serving_uint8` takes images as they are, `serving_encoded` JPEG and PNG files.

    Example:

    >>> from keras_se.export import to_saved_model
    >>> from keras_se.models import SEResNet18
    >>> artifact = to_saved_model(SEResNet18(input_shape=(32, 32, 3)), "se_resnet18_saved_model")  # doctest: +SKIP

    Args:
        model, verification_data, labels, overwrite: As in `to_tflite`.
        path: The folder to make.
        batch_size: A fixed batch, or `None` for any.
        optimize: Whether to rewrite the graph exactly before conversion (`keras_se.export.passes.pass_pipeline`).
        preprocessing: Whether the file takes uint8 pixels, as in `export`. With `signatures`, these take pixels, and
            `serving_default` takes the model's inputs. Verification data are pixels in both cases.
        signatures: Any of `"uint8"` (images of shape (batch, height, width, 3), from 0 to 255) and `"encoded"` (a
            vector of strings, the bytes of JPEG or PNG files, resized and cropped as `Preprocessing.load_image` does).
            Both prepare images as `preprocessing` says, or `model.preprocessing`, and are verified like the first.

    Returns:
        An `Artifact`. Errors are as in `to_tflite`.
    """
    request = full_request(
        FORMAT,
        model,
        verification_data=verification_data,
        preprocessing=preprocessing,
        labels=labels,
        optimize=optimize,
        batch_size=batch_size,
        signatures=signatures,
    )
    return write_verified(request, path, overwrite=overwrite)


def resolve(request: ExportRequest, *, signatures: Sequence[str] = ()) -> ExportRequest:
    """Adds further signatures, which then take the pixels; a `ValueError` for invalid ones."""
    source = request.source
    serving = serving_of(source.model, names_of(signatures), source.preprocessing)
    if serving is None:
        return request
    return replace(
        request,
        inference=serving.inference,
        plan=serving,
        preprocessing=serving.prepared,
        preprocesses=False,
        prepare=serving.feeds if source.takes_pixels else None,
        check=serving.check,
    )


def write(request: ExportRequest, path: Path) -> Sequence[str]:
    """Writes the folder, and returns notes."""
    source, notes = request.optimized()
    request.format.writer(request.mode)(source, request, path)
    canonicalize(path)
    return notes


def write_floats(model: InferenceModel, request: ExportRequest, path: Path) -> None:
    serving = request.plan
    more = None if serving is None else partial(serving.functions, batch_size=request.batch_size)
    save(model, path, request.batch_size, more=more)


def save(
    model: InferenceModel,
    folder: Path,
    batch_size: int | None,
    shapes: Mapping[str, tuple] | None = None,
    more: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Any:
    """Writes a SavedModel, and returns the traced model; `more` makes further signatures from it."""
    tf = require("tensorflow", "tensorflow")
    _, function = trace(model, batch_size, shapes)
    module = tf.Module()  # with variables only: TensorFlow would trace a `tf.function` in it again
    module.model_variables = [variable.value for variable in model.model.variables]
    with clean_scopes():
        tf.saved_model.save(module, str(folder), signatures={SIGNATURE: function, **(more(function) if more else {})})
    return function
