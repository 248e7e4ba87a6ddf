"""SpatialSqueezeExcite (sSE): its contract as a layer, and against NumPy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_se import SpatialSqueezeExcite
from tests.support.arrays import array, channels_last, error, randomise
from tests.support.layer_contract import check_layer
from tests.support.numpy_se import NONLINEARITIES, weights_in_numpy

SHAPES = [(2, 5, 6), (2, 3, 4, 6), (2, 2, 3, 2, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_keeps_the_contract_of_a_layer(shape: tuple[int, ...], tmp_path: Path) -> None:
    check_layer(SpatialSqueezeExcite, shape, tmp_path)


def test_keeps_the_contract_of_a_layer_with_every_argument(tmp_path: Path) -> None:
    options = {"gate": "hard_sigmoid", "use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": "l2"}
    options |= {"bias_regularizer": "l1", "kernel_constraint": "max_norm", "bias_constraint": "non_neg"}
    check_layer(lambda **more: SpatialSqueezeExcite(**options, bias_initializer="ones", **more), (2, 3, 4, 6), tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    spatial=st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3),
    channels=st.sampled_from([1, 3, 8]),
    gate=st.sampled_from(["sigmoid", "hard_sigmoid", "tanh", "relu"]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_computes_what_numpy_computes(
    spatial: list[int], channels: int, gate: str, use_bias: bool, data_format: str, seed: int
) -> None:
    x = np.random.default_rng(seed).normal(size=(2, *spatial, channels)).astype("float32")
    inputs = np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    layer = SpatialSqueezeExcite(gate=gate, use_bias=use_bias, data_format=data_format)
    layer.build(inputs.shape)
    weights = weights_in_numpy(layer, seed)
    assert list(weights) == ["squeeze_kernel", "squeeze_bias"][: 1 + use_bias]

    projected = (x.astype("float64") * weights["squeeze_kernel"][:, 0]).sum(-1) + weights.get("squeeze_bias", 0)
    gates = NONLINEARITIES[gate](projected)
    assume(np.abs(x * gates[..., None]).max() > 0.05 * np.abs(x).max())  # a small difference has fewer digits
    assert error(array(layer.excitation(inputs)), gates) < 1e-5
    assert error(channels_last(array(layer(inputs)), data_format), x * gates[..., None]) < 1e-5


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", SHAPES)
def test_excitation_has_a_gate_for_every_position(shape: tuple[int, ...], data_format: str) -> None:
    x = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    layer = SpatialSqueezeExcite(data_format=data_format)
    gates = array(layer.excitation(x))  # before the layer was called
    channel = 1 if data_format == "channels_first" else x.ndim - 1
    assert gates.shape == tuple(np.delete(shape, channel))
    assert error(array(layer(x)) / x, np.broadcast_to(np.expand_dims(gates, channel), shape)) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_carry_between_data_formats(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    last, first = SpatialSqueezeExcite(data_format="channels_last"), SpatialSqueezeExcite(data_format="channels_first")
    last.build(shape)
    randomise(last)
    first.build(np.moveaxis(x, -1, 1).shape)
    first.set_weights(last.get_weights())
    assert error(np.moveaxis(array(first(np.moveaxis(x, -1, 1))), 1, -1), array(last(x))) < 1e-6


def test_projects_many_half_precision_channels_without_overflow() -> None:
    x = np.full((1, 2, 2, 256), 1000.0, "float32")  # a sum of 256,000, four times float16's largest number
    layer = SpatialSqueezeExcite(gate="linear", kernel_initializer="ones", dtype="mixed_float16")
    layer.build(x.shape)
    layer.bias.assign([-255_999.0])
    assert error(array(layer.excitation(x)), np.ones((1, 2, 2))) < 1e-6


def test_passes_a_mask_on() -> None:
    inputs = keras.Input((None,), dtype="int32")
    x = SpatialSqueezeExcite()(keras.layers.Embedding(5, 6, mask_zero=True)(inputs))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))  # leaves masked positions out
    assert error(array(model(np.array([[3, 1, 0, 0]]))), array(model(np.array([[3, 1]])))) < 1e-6


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            np.zeros((2, 8), "float32"),
            r"SpatialSqueezeExcite requires inputs of rank 3, .* input_shape=\(2, 8\)$",
        ),
        (keras.KerasTensor((2, 4, 4, None)), r"SpatialSqueezeExcite requires a known number of channels on axis 3"),
    ],
)
def test_refuses_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpatialSqueezeExcite()(inputs)


def test_refuses_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"^data_format must be .* Received: data_format='x'$"):
        SpatialSqueezeExcite(data_format="x")
    with pytest.raises(ValueError, match=r"excitation\(\) requires an array .*Received: inputs=<KerasTensor"):
        SpatialSqueezeExcite().excitation(keras.Input((4, 4, 3)))
