"""What several tests share: closeness, random weights, a layer's contract, and squeeze-and-excitation in NumPy.

The NumPy part is written from the papers, in float64 and with channels last, and calls nothing of keras_se.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
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


# Squeeze-and-excitation in NumPy

NONLINEARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}

# Values of one channel of one sample → its descriptor.
SQUEEZES: dict[str, Callable[[np.ndarray], float]] = {
    "avg": lambda values: values.sum() / values.size if values.size else 0.0,
    "max": lambda values: max(values) if values.size else 0.0,
    "std": lambda values: np.sqrt(np.mean((values - values.mean()) ** 2)),
    "logsumexp": lambda values: np.log(np.exp(values).sum()),
    "mean_square": lambda values: np.mean(values**2),
}


def squeeze_in_numpy(x: np.ndarray, squeeze: str, mask: np.ndarray | None = None) -> np.ndarray:
    """(batch, *spatial, channels) → (batch, channels), one channel of one sample at a time."""
    mask = np.ones(x.shape[:-1], bool) if mask is None else mask
    function = SQUEEZES[squeeze]
    return np.array(
        [[function(plane[keep]) for plane in np.moveaxis(image, -1, 0)] for image, keep in zip(x, mask, strict=True)]
    )


def gates_in_numpy(z: np.ndarray, weights: dict[str, np.ndarray], activation: str, gate: str) -> np.ndarray:
    """s = gate(W2 · activation(W1 · z + b1) + b2), of descriptors (batch, channels)."""
    hidden = NONLINEARITIES[activation](z @ weights["reduce_kernel"] + weights.get("reduce_bias", 0))
    return NONLINEARITIES[gate](hidden @ weights["expand_kernel"] + weights.get("expand_bias", 0))


def scale_in_numpy(x: np.ndarray, gates: np.ndarray) -> np.ndarray:
    """Every channel of (batch, *spatial, channels) times its gate."""
    return np.array([image * gate for image, gate in zip(x, gates, strict=True)])


def weights_in_numpy(layer: keras.layers.Layer, seed: int = 0) -> dict[str, np.ndarray]:
    """The weights of a built layer by name, in float64, after giving them random values."""
    randomise(layer, seed)
    return {weight.name: array(weight) for weight in layer.weights}


# A layer's contract


def check_layer(make: Callable[..., keras.layers.Layer], shape: tuple[int, ...], folder: Path) -> None:
    """Checks what Keras expects of every layer that keeps the shape of its inputs.

    Args:
        make: Returns a new layer each time; takes `dtype`.
        shape: Of an input, batch and channels last included.
        folder: Where a model may be saved.
    """
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    _check_config(make())
    _check_shapes(make(), x)
    _check_saving(make(), x, folder / "model.keras")
    _check_gradients(make(), x)
    for compute_dtype in ROUNDING:
        _check_mixed_precision(make, x, compute_dtype)


def constructor_arguments(cls: type) -> set[str]:
    parameters = inspect.signature(cls).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}


def _check_config(layer: keras.layers.Layer) -> None:
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    assert set(config) == constructor_arguments(type(layer)) | {"name", "trainable", "dtype"}


def _check_shapes(layer: keras.layers.Layer, x: np.ndarray) -> None:
    assert layer.compute_output_shape(x.shape) == x.shape
    y = layer(x)
    assert tuple(y.shape) == x.shape
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    unknown = keras.Input((None,) * (x.ndim - 2) + (x.shape[-1],))
    symbolic = layer(unknown)
    assert symbolic.shape == unknown.shape
    assert error(array(keras.Model(unknown, symbolic)(x)), array(y)) < 1e-6


def _check_saving(layer: keras.layers.Layer, x: np.ndarray, path: Path) -> None:
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model(x)  # layers inside the layer have their weights from here on
    randomise(model)
    model.save(path)
    loaded = keras.saving.load_model(path)  # in safe mode, which is the default
    assert type(loaded.layers[0]) is type(layer)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


def _check_gradients(layer: keras.layers.Layer, x: np.ndarray) -> None:
    """Steps of gradient descent, each from other weights because a ReLU may be off, change every weight."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model(x)
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    changed = set()
    for seed in range(4):
        randomise(model, seed)
        before = [array(weight) for weight in layer.weights]
        model.train_on_batch(x, np.ones_like(x))
        for weight, old in zip(layer.weights, before, strict=True):
            assert np.isfinite(array(weight)).all(), weight.path
            if not np.array_equal(array(weight), old):
                changed.add(weight.path)
    assert changed == {weight.path for weight in layer.weights}


def _check_mixed_precision(make: Callable[..., keras.layers.Layer], x: np.ndarray, compute_dtype: str) -> None:
    exact, mixed = make(), make(dtype=f"mixed_{compute_dtype}")
    expected = exact(x)
    mixed(x)
    mixed.set_weights(exact.get_weights())
    y = mixed(x)
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    assert keras.backend.standardize_dtype(y.dtype) == compute_dtype
    # The inputs, the gates and their product are rounded, once each, and a gate sees the rounded inputs.
    assert error(array(y), array(expected)) < 4 * ROUNDING[compute_dtype]
