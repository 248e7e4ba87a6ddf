"""Keras → SavedModel."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_se.export.artifact import Artifact
from keras_se.export.data.labels import labels_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.errors import require
from keras_se.export.frontend.backend_process import on_any_backend
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import clean_scopes
from keras_se.export.frontend.tracing import trace
from keras_se.export.metadata import Facts
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.pipeline import verification_feeds, write_verified
from keras_se.export.saved_model.canonicalize import canonicalize
from keras_se.export.saved_model.runner import SIGNATURE
from keras_se.export.saved_model.signatures import names_of, serving_of
from keras_se.layers.base import positive_integer


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
        model: A functional or Sequential `keras.Model`.
        path: The folder to make.
        batch_size: A fixed batch, or `None` for any.
        optimize: Whether to rewrite the graph exactly before conversion (`keras_se.export.passes.pass_pipeline`).
        verification_data: Inputs to verify the file on, in the forms of calibration data; random by default.
        preprocessing: Whether the file takes pixels, of uint8, as in `export`. With `signatures` it is these that do,
            and `serving_default` takes what the model takes; verification data are pixels all the same.
        signatures: Any of `"uint8"` (images of shape (batch, height, width, 3), from 0 to 255) and `"encoded"` (a
            vector of strings, the bytes of JPEG or PNG files, resized and cropped as `Preprocessing.load_image` does).
            Both prepare images as `preprocessing` says, or `model.preprocessing`, and are verified like the first.
        labels: Names of the output's channels, for the file's metadata: a list of strings, a text file with one on each
            line, or `"imagenet"`.
        overwrite: Whether to replace a folder that exists.

    Returns:
        An `Artifact`.

    Raises:
        ValueError: for an argument that cannot be right.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
        ExportError: if the conversion fails, or the file does not compute what the model computes.
    """
    if batch_size is not None:
        batch_size = positive_integer("batch_size", batch_size)
    names = names_of(signatures)
    prepared = preprocessing_of(model, preprocessing)
    inference = prepared_model(model, prepared)
    feeds = verification_feeds(inference.inputs, verification_data, pixels=prepared is not None)
    serving = serving_of(model, names, prepared)
    more = None if serving is None else partial(serving.functions, batch_size=batch_size)
    if serving is not None and prepared is not None:
        feeds, prepared = serving.feeds(feeds), None
        inference = serving.inference

    options = {"optimize": optimize, "batch_size": batch_size}
    facts = Facts(
        model,
        options,
        serving.prepared if serving else prepared,
        labels_of(labels, inference.outputs),
        in_file=serving is None,
    )

    def write(staged: Path) -> list[str]:
        source, notes = optimized(inference) if optimize else (inference, [])
        save(source, staged, batch_size, more=more)
        canonicalize(staged)
        return notes

    return write_verified(
        inference,
        path,
        format="saved_model",
        write=write,
        feeds=feeds,
        facts=facts,
        check=None if serving is None else partial(serving.check, feeds=feeds, batch_size=batch_size),
        overwrite=overwrite,
    )


def save(
    model: InferenceModel,
    folder: Path,
    batch_size: int | None,
    shapes: Mapping[str, tuple] | None = None,
    more: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Any:
    """Writes a SavedModel, and returns the traced model, of which `more` makes further signatures."""
    tf = require("tensorflow", "tensorflow")
    _, function = trace(model, batch_size, shapes)
    module = tf.Module()  # of the variables alone: TensorFlow would trace a `tf.function` in it once more
    module.model_variables = [variable.value for variable in model.model.variables]
    with clean_scopes():
        tf.saved_model.save(module, str(folder), signatures={SIGNATURE: function, **(more(function) if more else {})})
    return function
