"""What a builder's `weights` means, and how it gets into the network."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import keras

from keras_se.weights.assign import assign
from keras_se.weights.keras_applications import check_counterpart, copy, pretrained
from keras_se.weights.messages import reason
from keras_se.weights.source import Source, find
from keras_se.weights.tensors import open_tensors


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
    if is_of_keras(weights):
        if isinstance(weights, str):
            check_counterpart(builder)

        def fill_from_keras(model: keras.Model) -> None:
            # Downloaded only when all other arguments are right.
            reference = pretrained(builder, options, include_top) if isinstance(weights, str) else weights
            if left_out := copy(reference, model):
                message = f"{model.name} has other classes than {reference.name}: {', '.join(left_out)} is new."
                warnings.warn(message, stacklevel=outside())

        return fill_from_keras
    source = find(weights)
    return lambda model: fill(model, source, head=include_top)


def is_of_keras(weights: Any) -> bool:
    """Whether weights are those of `keras.applications`."""
    return isinstance(weights, keras.Model) or weights == "imagenet"


def fill(model: keras.Model, source: Source, *, head: bool = True) -> None:
    """Puts a source's weights into a network that was built for them.

    Args:
        model: The network.
        source: Where they are.
        head: Whether the network has its classifier. One of other classes keeps its own, and a warning says so.

    Raises:
        ValueError: if they do not fit. The network is left as it was.
    """
    if source.tensors.name.endswith(".weights.h5"):
        try:
            model.load_weights(source.tensors)
        except Exception as error:  # of HDF5 and of Keras, which says much, in many lines
            raise ValueError(
                f"weights must be a .weights.h5 file of {model.name!r}. Received: {source.address!r} ({reason(error)})"
            ) from error
        return
    left_out = assign(model, open_tensors(source.tensors), head=head)
    if left_out:
        message = f"{model.name} has other classes than {source.address}: not taken {', '.join(left_out)}."
        warnings.warn(message, stacklevel=outside())


def outside() -> int:
    """How many calls up the user's code is."""
    depth = 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "keras_se":
        frame, depth = frame.f_back, depth + 1
    return depth - 1
