"""Resolves a builder's `weights` argument, and loads what it names into the network."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from keras_se.weights.assign import assign
from keras_se.weights.checkpoint import open_tensors
from keras_se.weights.keras_applications import check_counterpart, copy_weights, preprocessing_for, pretrained
from keras_se.weights.keras_h5 import load_keras_h5
from keras_se.weights.locate import Source, find_source
from keras_se.weights.preprocessing import Preprocessing, from_config
from keras_se.weights.requirements import network_input


class NewClassifierWarning(UserWarning):
    """The network's classifier has random weights, since that of the checkpoint has other classes."""


def weight_loader(
    weights: Any, builder: str, options: dict[str, Any], include_top: bool
) -> Callable[[keras.Model], None] | None:
    """Returns a function that loads a builder's `weights` into its network; `None` for random weights.

    Sources are located here, so that a wrong argument raises its error before the network is built.

    Args:
        weights: `None`, `"imagenet"`, a network of `keras.applications`, or an address.
        builder, options: The builder's name and its options.
        include_top: Whether the network has its head.
    """
    if weights is None:
        return None
    # Weights are downloaded by the returned function, after all other arguments have been checked.
    if isinstance(weights, keras.Model) or (isinstance(weights, str) and weights == "imagenet"):
        if isinstance(weights, str):
            check_counterpart(builder)
        return lambda model: _load_keras_applications(model, weights, builder, options, include_top)
    source = find_source(weights)
    return lambda model: load_into(model, source, head=include_top)


def _load_keras_applications(
    model: keras.Model, weights: Any, builder: str, options: dict[str, Any], head: bool
) -> None:
    reference = pretrained(builder, options, head) if isinstance(weights, str) else weights
    copied = copy_weights(reference, model)
    if copied.left_out:
        _warn(f"{model.name} has {copied.why} {reference.name}: {', '.join(copied.left_out)} got random weights.")
    _set_preprocessing(model, preprocessing_for(builder, model), head)


def load_into(model: keras.Model, source: Source, *, head: bool = True) -> None:
    """Loads a source's weights into a new network, and sets its `preprocessing`.

    Args:
        model: The network. After an error it may be partly set: it must be discarded.
        source: The weights.
        head: Whether the network has its head. A classifier of another number of classes keeps its random weights, and
            a warning says so.

    Raises:
        ValueError: if the weights do not fit.
    """
    prepared = None if source.config is None else from_config(source.config)
    if source.tensors.name.endswith(".weights.h5"):
        left_out = load_keras_h5(model, source.tensors, head=head)
    else:
        left_out = assign(model, open_tensors(source.tensors), head=head)
    if left_out:
        _warn(f"{model.name} has other classes than {source.address}: left out {', '.join(left_out)}.")
    _set_preprocessing(model, prepared, head)


def _set_preprocessing(model: keras.Model, prepared: Preprocessing | None, head: bool) -> None:
    """Sets `model.preprocessing`, if it is known, with the network's size and classes."""
    if prepared is None:
        return
    shape = network_input(model).shape
    size = tuple(shape[2:] if keras.config.image_data_format() == "channels_first" else shape[1:3])
    if len(shape) == 4 and None not in size:
        prepared = replace(prepared, size=size)
    model.preprocessing = replace(prepared, classes=model.output_shape[-1]) if head else prepared


def _warn(message: str) -> None:
    warnings.warn(message, NewClassifierWarning, stacklevel=_stacklevel_of_caller())


def _stacklevel_of_caller() -> int:
    """The `stacklevel` of the first caller outside this package."""
    depth = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "keras_se":
        frame, depth = frame.f_back, depth + 1
    return depth
