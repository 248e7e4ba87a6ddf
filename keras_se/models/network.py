"""What `keras.applications` builders have in common: inputs, head, weights."""

import math
import os
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from keras_se.layers.gated import accumulation_dtype, positive_integer
from keras_se.models.blocks import channel_axis

DEFAULT_SIZE = 224


def network(
    features: Callable[[Any], Any],
    *,
    include_top: bool,
    weights: str | os.PathLike | None,
    input_tensor: Any,
    input_shape: tuple | None,
    pooling: str | None,
    classes: int,
    classifier_activation: Any,
    name: str,
    min_size: int,
    head: Callable[[Any, int, Any], Any] | None = None,
) -> keras.Model:
    """Input → `features` → head, as one functional model.

    Args:
        features: Builds the network's body: image tensor → feature map.
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name: As in
            `keras.applications`; `weights` is `None` (random) or the path of a Keras `.weights.h5` file.
        min_size: The smallest height and width that the network takes.
        head: Builds the classifier of (feature map, classes, activation); `dense_head` by default.

    Raises:
        ValueError: for an argument out of its range.
    """
    if pooling not in (None, "avg", "max"):
        raise ValueError(f'pooling must be None, "avg" or "max". Received: pooling={pooling!r}')
    classes = positive_integer("classes", classes)
    weights = _weights_file(weights)
    image = _image(input_tensor, input_shape, include_top, min_size)
    x = features(image)
    if include_top:
        x = (head or dense_head)(x, classes, classifier_activation)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)
    sources = keras.utils.get_source_inputs(image)
    model = keras.Model(sources[0] if len(sources) == 1 else sources, x, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def dense_head(x: Any, classes: int, activation: Any) -> Any:
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(classes, activation=activation, dtype=head_dtype(), name="predictions")(x)


def head_dtype() -> str:
    """Classifiers compute in at least float32, so that mixed precision does not cost the softmax its digits."""
    return accumulation_dtype(keras.config.dtype_policy().compute_dtype)


def _weights_file(weights: Any) -> str | None:
    if weights is None:
        return None
    if not isinstance(weights, str | os.PathLike) or not os.fspath(weights).endswith(".weights.h5"):
        raise ValueError(f"weights must be None or the path of a .weights.h5 file. Received: weights={weights!r}")
    if not os.path.isfile(weights):
        raise ValueError(f"weights must be a file that exists. Received: weights={os.fspath(weights)!r}")
    return os.fspath(weights)


def _image(input_tensor: Any, input_shape: tuple | None, include_top: bool, min_size: int) -> Any:
    if input_shape is not None and not isinstance(input_shape, tuple | list):
        raise ValueError(f"input_shape must be a tuple or None. Received: input_shape={input_shape!r}")
    if input_tensor is None:
        if input_shape is None:
            size = DEFAULT_SIZE if include_top else None
            input_shape = (3, size, size) if channel_axis() == 1 else (size, size, 3)
        _check_image_shape("input_shape", tuple(input_shape), min_size)
        return keras.Input(input_shape, name="image")
    if not isinstance(input_tensor, keras.KerasTensor):
        raise ValueError(f"input_tensor must be what keras.Input or a layer returns. Received: {input_tensor!r}")
    shape = tuple(input_tensor.shape[1:])
    _check_image_shape("input_tensor", shape, min_size)
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            f"input_shape must be the shape of input_tensor, {shape}, or None. Received: input_shape={input_shape}"
        )
    return input_tensor


def _check_image_shape(argument: str, shape: tuple, min_size: int) -> None:
    first = channel_axis() == 1
    if len(shape) == 3:
        channels, sizes = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
        if channels and all(size is None or size >= min_size for size in sizes):
            return
    order = "(channels, height, width)" if first else "(height, width, channels)"
    raise ValueError(
        f"{argument} must be {order} with at least 1 channel and {min_size}x{min_size} pixels (or None for an unknown "
        f"size). Received: {argument} of shape {shape}"
    )


def scaled(filters: int, factor: float) -> int:
    """`filters` times a width multiplier, at least 1."""
    return max(1, math.floor(filters * factor))
