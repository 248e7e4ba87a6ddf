"""What Keras expects of every layer: config, shapes, saving, gradients and mixed precision."""

import inspect
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tests.support.arrays import ROUNDING, array, error, randomise


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
