"""What a builder's `weights` means, and how it gets into the network."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from keras_se.weights.assign import assign
from keras_se.weights.checkpoint import open_tensors
from keras_se.weights.keras_applications import check_counterpart, copy, prepared_for, pretrained
from keras_se.weights.keras_h5 import fill_from_own
from keras_se.weights.locate import Source, find
from keras_se.weights.preprocessing import Preprocessing, from_config
from keras_se.weights.requirements import image_of


class NewClassifierWarning(UserWarning):
    """The network keeps a classifier of its own, with random weights."""


def filler(
    weights: Any, builder: str, options: dict[str, Any], include_top: bool
) -> Callable[[keras.Model], None] | None:
    """What puts the weights of a builder's argument into its network; sources are looked for here, and fail here.

    Args:
        weights: `None`, `"imagenet"`, a network of `keras.applications`, or an address.
        builder, options: The builder's name, and its own options.
        include_top: Whether the network has its head.
    """
    if weights is None:
        return None
    # In both cases, weights are downloaded only when all other arguments are right.
    if is_of_keras(weights):
        if isinstance(weights, str):
            check_counterpart(builder)
        return lambda model: _fill_from_keras(model, weights, builder, options, include_top)
    source = find(weights)
    return lambda model: fill(model, source, head=include_top)


def is_of_keras(weights: Any) -> bool:
    """Whether weights are those of `keras.applications`."""
    return isinstance(weights, keras.Model) or (isinstance(weights, str) and weights == "imagenet")


def _fill_from_keras(model: keras.Model, weights: Any, builder: str, options: dict[str, Any], head: bool) -> None:
    reference = pretrained(builder, options, head) if isinstance(weights, str) else weights
    copied = copy(reference, model)
    if copied.left_out:
        _warn(f"{model.name} has {copied.why} {reference.name}: new weights in {', '.join(copied.left_out)}.")
    _describe(model, prepared_for(builder, model), head)


def fill(model: keras.Model, source: Source, *, head: bool = True) -> None:
    """Puts a source's weights into a network that was built for them, and how images are prepared on it.

    Args:
        model: The network.
        source: Where they are.
        head: Whether the network has its classifier. One of other classes keeps its own, and a warning says so.

    Raises:
        ValueError: if they do not fit. The network is left as it was.
    """
    prepared = None if source.config is None else from_config(source.config)
    if source.tensors.name.endswith(".weights.h5"):
        left_out = fill_from_own(model, source.tensors, head=head)
    else:
        left_out = assign(model, open_tensors(source.tensors), head=head)
    if left_out:
        _warn(f"{model.name} has other classes than {source.address}: not taken {', '.join(left_out)}.")
    _describe(model, prepared, head)


def _describe(model: keras.Model, prepared: Preprocessing | None, head: bool) -> None:
    """Sets `model.preprocessing`, where it is known, with the network's own size and classes."""
    if prepared is None:
        return
    shape = image_of(model).shape
    size = tuple(shape[2:] if keras.config.image_data_format() == "channels_first" else shape[1:3])
    if len(shape) == 4 and None not in size:
        prepared = replace(prepared, size=size)
    model.preprocessing = replace(prepared, classes=model.output_shape[-1]) if head else prepared


def _warn(message: str) -> None:
    warnings.warn(message, NewClassifierWarning, stacklevel=_outside())


def _outside() -> int:
    """How many calls up the user's code is."""
    depth = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "keras_se":
        frame, depth = frame.f_back, depth + 1
    return depth
