"""What the exact rewrites share: copies with new weights, and calls that they must leave alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_se.graph.rewrite import CannotCopyError, Rewrite, calls, nested


@contextmanager
def copying(layer: Any) -> Iterator[None]:
    """Where another layer is made of a layer's configuration: what goes wrong is a `CannotCopyError`."""
    try:
        yield
    except (NotImplementedError, TypeError, ValueError) as error:  # of functions that nothing finds by their names, too
        raise CannotCopyError(layer.name) from error


def in_float64(variable: Any) -> np.ndarray:
    """A variable's value, for new weights that are computed from it."""
    return keras.ops.convert_to_numpy(variable).astype("float64")


def in_training(call: Any) -> bool:
    """Whether a call asks for what a layer does in training, whatever its model is called for."""
    return bool(call.arguments.kwargs.get("training"))


def nested_in_inference(model: keras.Model, rewrite: Rewrite) -> dict[str, keras.layers.Layer]:
    """The models inside a model that a rewrite changes, by name, but those that are called as in training."""
    called = {layer.name for layer in model.layers if any(map(in_training, calls(layer, model)))}
    return {name: result for name, result in nested(model, rewrite).items() if name not in called}
