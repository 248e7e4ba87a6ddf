"""Comparing and drawing arrays of any backend."""

from typing import Any

import keras
import numpy as np

# Half the distance between 1 and the next number.
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def array(tensor: Any) -> np.ndarray:
    """A tensor of any backend and float type as float64."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")).astype("float64")


def error(actual: Any, expected: Any) -> float:
    """The largest difference, relative to the largest expected magnitude. Infinite if anything is not a number."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape
    difference, scale = np.max(np.abs(actual - expected)), np.max(np.abs(expected))
    if not np.isfinite(difference):
        return np.inf
    return difference / scale if difference else 0.0


def randomise(layer: keras.layers.Layer, seed: int = 0) -> None:
    """Gives every weight, biases and batch statistics too, other values, such that a signal survives many layers."""
    rng = np.random.default_rng(seed)

    def value(weight: keras.Variable) -> np.ndarray:
        if "variance" in weight.path or "gamma" in weight.path:
            return rng.uniform(0.8, 1.2, weight.shape)
        if len(weight.shape) < 2:
            return 0.1 * rng.normal(size=weight.shape)
        depthwise = "depthwise" in weight.path or "conv_dw" in weight.path
        fan_in = np.prod(weight.shape[: 2 if depthwise else -1], dtype=int)
        return rng.normal(size=weight.shape) * np.sqrt(2 / fan_in)

    for weight in layer.weights:
        if "seed" not in weight.path:
            weight.assign(value(weight))


def channels_last(x: np.ndarray, data_format: str) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if data_format == "channels_first" else x


def resized_in_numpy(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(batch, height, width, channels) of another size, bilinearly; pixels are squares, and those at the edge go on."""
    return _interpolated(_interpolated(np.asarray(x, "float64"), size[0], 1), size[1], 2)


def _interpolated(x: np.ndarray, size: int, axis: int) -> np.ndarray:
    centres = (np.arange(size) + 0.5) * x.shape[axis] / size - 0.5
    left = np.floor(centres)
    parts = [np.take(x, np.clip(left + i, 0, x.shape[axis] - 1).astype(int), axis) for i in (0, 1)]
    share = np.expand_dims(centres - left, [other for other in range(x.ndim) if other != axis])
    return parts[0] * (1 - share) + parts[1] * share


def relative_error(expected: np.ndarray, actual: np.ndarray) -> float:
    """Root mean square of the difference, in standard deviations of what was expected: 1 for a constant output."""
    assert expected.shape == actual.shape
    difference = np.asarray(expected, "float64") - np.asarray(actual, "float64")
    return float(np.sqrt(np.mean(difference**2)) / np.std(np.asarray(expected, "float64")))


def in_float64(model: keras.Model, shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A model's weights drawn, and its output for inputs drawn, all in float64."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        positive = weight.name in ("moving_variance", "gamma")
        weight.assign(rng.uniform(0.2, 3, weight.shape) if positive else rng.normal(0, 1, weight.shape))
    x = rng.standard_normal((2, *shape))
    return x, keras.ops.convert_to_numpy(model(x, training=False))
