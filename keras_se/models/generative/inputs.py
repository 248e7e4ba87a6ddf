"""Checks the inputs of denoising networks, of their training and of the sampler."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

# Input names of models without classes; with classes there is also `label`. A step model also takes the next time.
NEXT = "next_time"
NETWORK = ("image", "time")
STEP = (*NETWORK, NEXT)


def check_inputs(argument: str, model: Any, *allowed: tuple[str, ...]) -> None:
    """Raises a `ValueError` unless the model has one of the allowed sets of input names, with or without `label`."""
    inputs = getattr(model, "input", None) if isinstance(model, keras.Model) else None
    names = set(inputs) - {"label"} if isinstance(inputs, Mapping) else set()
    if not any(names == set(choice) for choice in allowed):
        wanted = " or ".join(f"({', '.join(choice)})" for choice in allowed)
        described = f"the inputs {sorted(inputs)}" if isinstance(inputs, Mapping) else "no inputs by name"
        known = f"{model.name!r} with {described}" if isinstance(model, keras.Model) else repr(model)
        raise ValueError(
            f"{argument} must be a model with the inputs {wanted} by name, and also label if it has classes. "
            f"Received: {argument}={known}"
        )


def check_arrays(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises a `ValueError` unless the arrays have the names and shapes of the model's inputs."""
    if set(arrays) != set(model.input):
        raise ValueError(f"{model.name!r} requires the inputs {sorted(model.input)}. Received: {sorted(arrays)}")
    for name, x in model.input.items():
        wanted, shape = x.shape, np.shape(arrays[name])
        if len(shape) != len(wanted) or any(a not in (b, None) for a, b in zip(wanted[1:], shape[1:], strict=True)):
            called = "image (noise in the first step)" if name == "image" else name
            raise ValueError(
                f"{called} must have the shape (samples, {', '.join(str(size) for size in wanted[1:])}) for "
                f"{model.name!r}. Received: shape {shape}"
            )


def check_images(argument: str, images: np.ndarray) -> None:
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"{argument} must be an array (samples, height, width, channels) of one sample or more. "
            f"Received: shape {images.shape}"
        )


def check_labels(argument: str, labels: np.ndarray, samples: int) -> None:
    if labels.ndim != 2 or len(labels) != samples:
        raise ValueError(
            f"{argument} must be an array (samples, classes) for {samples} samples, one-hot. "
            f"Received: shape {labels.shape}"
        )
