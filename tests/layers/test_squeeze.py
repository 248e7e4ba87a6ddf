"""The squeezes of SqueezeExcite: callables, Keras layers, and masks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite
from tests.support.arrays import ROUNDING, array, error
from tests.support.layer_contract import check_layer
from tests.support.numpy_se import gates_in_numpy, scale_in_numpy, squeeze_in_numpy, weights_in_numpy


@keras.saving.register_keras_serializable(package="tests")
class WeightedAverage(keras.layers.Layer):
    """A squeeze with a weight for every channel."""

    def build(self, shape: tuple) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return keras.ops.mean(x, axis=(1, 2)) * self.scale


@keras.saving.register_keras_serializable(package="tests")
def weighted_by_mask(x: Any, axis: tuple[int, ...], keepdims: bool, mask: Any) -> Any:
    """The sum over what a mask keeps: a squeeze that takes one."""
    kept = keras.ops.where(keras.ops.expand_dims(mask, -1), x, keras.ops.zeros_like(x))
    return keras.ops.sum(kept, axis=axis, keepdims=keepdims)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def expected_of(layer: SqueezeExcite, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The layer's outputs for squeezed inputs `z`, in NumPy; the layer gets random weights."""
    return scale_in_numpy(x.astype("float64"), gates_in_numpy(z, weights_in_numpy(layer), "relu", "sigmoid"))


# Callables and layers


@pytest.mark.parametrize(
    "squeeze",
    [
        keras.ops.std,
        keras.ops.logsumexp,
        WeightedAverage,
        keras.layers.GlobalAveragePooling2D,
        lambda: keras.layers.GlobalMaxPooling2D(keepdims=True),
    ],
)
def test_a_callable_or_a_layer_keeps_the_contract(squeeze: Callable[..., Any], tmp_path: Path) -> None:
    reduction = squeeze in (keras.ops.std, keras.ops.logsumexp)

    def make(**options: Any) -> SqueezeExcite:
        return SqueezeExcite(2, squeeze=squeeze if reduction else squeeze(), **options)

    check_layer(make, (2, 3, 4, 6), tmp_path)


def test_pooling_layers_squeeze_like_the_names() -> None:
    x = normal(2, 3, 4, 6)
    for name, pooling in [("avg", keras.layers.GlobalAveragePooling2D()), ("max", keras.layers.GlobalMaxPooling2D())]:
        layer = SqueezeExcite(2, squeeze=pooling)
        layer.build(x.shape)
        expected = expected_of(layer, x, squeeze_in_numpy(x.astype("float64"), name))
        assert error(array(layer(x)), expected) < 1e-5


def test_the_weights_of_a_squeeze_layer_are_the_layers_own() -> None:
    x, squeeze = normal(2, 3, 4, 6), WeightedAverage()
    layer = SqueezeExcite(2, squeeze=squeeze)
    layer(x)
    assert len(layer.trainable_weights) == 5
    scale = np.arange(6.0)
    weights = weights_in_numpy(layer)
    squeeze.scale.assign(scale)
    gates = gates_in_numpy(x.astype("float64").mean((1, 2)) * scale, weights, "relu", "sigmoid")
    assert error(array(layer(x)), scale_in_numpy(x.astype("float64"), gates)) < 1e-5


@pytest.mark.parametrize("squeeze", [lambda x: x, lambda x: keras.ops.mean(x), lambda x: keras.ops.mean(x, axis=-1)])
def test_refuses_a_squeeze_that_returns_something_else(squeeze: Callable[[Any], Any]) -> None:
    with pytest.raises(
        ValueError, match=r"squeeze must return one value for each of the 6 channels.*Received: shape \("
    ):
        SqueezeExcite(2, squeeze=squeeze)(normal(2, 3, 4, 6))


# Masks


@pytest.mark.parametrize("hidden", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("squeeze", ["avg", "max"])
def test_what_is_masked_does_not_count(squeeze: str, hidden: float) -> None:
    x = normal(2, 5, 6)
    mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    layer = SqueezeExcite(2, squeeze=squeeze)
    layer.build(x.shape)
    expected = expected_of(layer, x, squeeze_in_numpy(x.astype("float64"), squeeze, mask))
    x[~mask] = hidden
    assert error(array(layer(x, mask=mask))[mask], expected[mask]) < 1e-5


@pytest.mark.parametrize("squeeze", ["avg", "max"])
def test_a_sample_that_is_masked_everywhere_is_squeezed_to_zero(squeeze: str) -> None:
    x = normal(2, 5, 6)
    layer = SqueezeExcite(2, squeeze=squeeze)
    layer.build(x.shape)
    weights = weights_in_numpy(layer)
    gates = layer.excitation(x, mask=np.array([[False] * 5, [True] * 5]))
    z = np.stack([np.zeros(6), squeeze_in_numpy(x.astype("float64"), squeeze)[1]])
    assert error(array(gates), gates_in_numpy(z, weights, "relu", "sigmoid")) < 1e-5


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_masked_mean_in_half_precision_counts_beyond_its_integers(policy: str) -> None:
    """Counting to 9,000 in bfloat16, or summing 9,000 times 1,000 in float16, goes wrong; the mean is exactly 1,000."""
    x = np.full((1, 10_000, 1), 1000.0, "float32")
    mask = np.arange(10_000)[None] < 9_000
    x[~mask] = -60_000
    layer = SqueezeExcite(1, activation="linear", gate="linear", dtype=policy)
    layer.build(x.shape)
    layer.set_weights([np.ones((1, 1)), np.full(1, -999.0), np.ones((1, 1)), np.zeros(1)])
    assert array(layer.excitation(x, mask))[0, 0] == pytest.approx(1.0, abs=2e-3)


def _embedded() -> tuple[keras.Model, np.ndarray, np.ndarray, np.ndarray]:
    tokens = np.array([[3, 1, 2, 0, 0], [4, 4, 0, 0, 0]])
    inputs = keras.Input((5,), dtype="int32")
    embedded = keras.layers.Embedding(5, 6, mask_zero=True)(inputs)
    model = keras.Model(inputs, [embedded, SqueezeExcite(2)(embedded)])
    x, _ = model(tokens)
    return model, tokens, array(x), tokens != 0


def _masked() -> tuple[keras.Model, np.ndarray, np.ndarray, np.ndarray]:
    x = normal(2, 5, 6)
    x[0, 3:] = x[1, 1] = -7
    inputs = keras.Input((None, 6))
    masked = keras.layers.Masking(-7)(inputs)
    model = keras.Model(inputs, [masked, SqueezeExcite(2)(masked)])
    return model, x, array(model(x)[0]), np.all(x != -7, -1)


@pytest.mark.parametrize("make", [_embedded, _masked])
def test_takes_the_mask_of_the_layers_before_it(make: Callable[[], tuple]) -> None:
    model, data, x, mask = make()
    layer = model.layers[-1]
    expected = expected_of(layer, x, squeeze_in_numpy(x, "avg", mask))
    assert error(array(model(data)[1])[mask], expected[mask]) < 1e-5


def test_passes_the_mask_on() -> None:
    inputs = keras.Input((None,), dtype="int32")
    x = SqueezeExcite(2)(keras.layers.Embedding(5, 6, mask_zero=True)(inputs))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))  # leaves masked positions out
    short, long = model(np.array([[3, 1]])), model(np.array([[3, 1, 0, 0, 0]]))
    assert error(array(long), array(short)) < 1e-6


def test_gives_the_mask_to_a_callable_that_takes_one() -> None:
    x, mask = normal(2, 5, 6), np.array([[True] * 3 + [False] * 2] * 2)
    layer = SqueezeExcite(2, squeeze=weighted_by_mask)
    layer.build(x.shape)
    expected = expected_of(layer, x, x[:, :3].astype("float64").sum(1))
    assert error(array(layer(x, mask=mask)), expected) < 1e-5


@pytest.mark.parametrize("squeeze", [keras.ops.std, lambda x: keras.ops.mean(x, axis=1), WeightedAverage()])
def test_refuses_a_mask_that_the_squeeze_does_not_take(squeeze: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"squeeze must be a callable with an argument named.* Received: squeeze=<"):
        SqueezeExcite(2, squeeze=squeeze)(normal(2, 5, 6), mask=np.ones((2, 5), bool))


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4, 6), (2, 3, 4, 1)])
def test_refuses_a_mask_of_another_rank(shape: tuple[int, ...]) -> None:
    message = (
        r"The mask must have the shape \(batch, \*spatial\).* Received: a mask of shape \(2,.* inputs of shape \(2, 3"
    )
    with pytest.raises(ValueError, match=message):
        SqueezeExcite(2)(normal(2, 3, 4, 6), mask=np.ones(shape, bool))


@pytest.mark.parametrize(
    ("squeeze", "scale"),  # the scale brings what is squeezed to about 0.5
    [(keras.ops.std, 1), (keras.ops.logsumexp, 5e-3), (keras.ops.sum, 1e-6)],
)
def test_a_callable_is_accumulated_in_float32(squeeze: Callable[..., Any], scale: float) -> None:
    x = (100 + 0.5 * np.random.default_rng(0).integers(0, 3, (1, 64, 64, 2))).astype("float32")  # exact in float16
    options = {"squeeze": squeeze, "activation": "linear", "gate": "tanh", "use_bias": False}
    exact, half = SqueezeExcite(1, **options), SqueezeExcite(1, dtype="mixed_float16", **options)
    exact.build(x.shape)
    half.build(x.shape)
    for layer in (exact, half):
        layer.set_weights([np.eye(2) * scale, np.eye(2)])
    assert error(array(half.excitation(x)), array(exact.excitation(x))) < 2 * ROUNDING["float16"]


def test_refuses_a_mask_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"The mask must have the shape .* Received: a mask of shape \(2, 1\)"):
        SqueezeExcite(2)(normal(2, 5, 6), mask=np.ones((2, 1), bool))


def test_the_weights_of_a_squeeze_layer_are_there_from_the_build_on() -> None:
    layer = SqueezeExcite(2, squeeze=WeightedAverage(), activation=keras.layers.PReLU())
    keras.Sequential([keras.Input((3, 4, 6)), layer])
    assert len(layer.weights) == 6
