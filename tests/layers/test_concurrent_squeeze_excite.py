"""ConcurrentSqueezeExcite (scSE): its contract as a layer, and against NumPy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_se import ConcurrentSqueezeExcite
from tests.support.arrays import array, channels_last, error, randomise
from tests.support.layer_contract import check_layer
from tests.support.numpy_se import NONLINEARITIES, gates_in_numpy, scale_in_numpy, squeeze_in_numpy

SHAPES = [(2, 5, 6), (2, 3, 4, 6), (2, 2, 3, 2, 6)]
COMBINE = {"max": np.maximum, "add": np.add}


@pytest.mark.parametrize("combination", ["max", "add"])
@pytest.mark.parametrize("shape", SHAPES)
def test_keeps_the_contract_of_a_layer(shape: tuple[int, ...], combination: str, tmp_path: Path) -> None:
    check_layer(lambda **more: ConcurrentSqueezeExcite(2, combination=combination, **more), shape, tmp_path)


def test_keeps_the_contract_of_a_layer_with_every_argument(tmp_path: Path) -> None:
    options = {"bottleneck": 3, "divisor": 8, "squeeze": keras.ops.std, "activation": "silu", "gate": "hard_sigmoid"}
    options |= {"kernel_initializer": "he_normal", "bias_initializer": "ones", "kernel_regularizer": "l2"}
    options |= {"bias_regularizer": "l1", "kernel_constraint": "max_norm", "bias_constraint": "non_neg", "name": "scse"}
    check_layer(lambda **more: ConcurrentSqueezeExcite(2, **options, **more), (2, 3, 4, 6), tmp_path)


def in_numpy(layer: ConcurrentSqueezeExcite, x: np.ndarray, activation: str, gate: str) -> np.ndarray:
    """What the layer should return for `x` (float64, channels last, not masked)."""
    weights = {weight.name: array(weight) for weight in layer.weights}
    by_channel = gates_in_numpy(squeeze_in_numpy(x, "avg"), weights, activation, gate)
    projected = (x * weights["squeeze_kernel"][:, 0]).sum(-1) + weights.get("squeeze_bias", 0)
    by_position = NONLINEARITIES[gate](projected)[..., None]
    return COMBINE[layer.combination](scale_in_numpy(x, by_channel), x * by_position)


@settings(max_examples=40, deadline=None)
@given(
    spatial=st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3),
    channels=st.sampled_from([1, 3, 8]),
    combination=st.sampled_from(["max", "add"]),
    activation=st.sampled_from(["relu", "tanh"]),
    gate=st.sampled_from(["sigmoid", "hard_sigmoid"]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_computes_what_numpy_computes(
    spatial: list[int],
    channels: int,
    combination: str,
    activation: str,
    gate: str,
    use_bias: bool,
    data_format: str,
    seed: int,
) -> None:
    x = np.random.default_rng(seed).normal(size=(2, *spatial, channels)).astype("float32")
    inputs = np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    options = {"activation": activation, "gate": gate, "use_bias": use_bias, "data_format": data_format}
    layer = ConcurrentSqueezeExcite(2, combination=combination, **options)
    layer.build(inputs.shape)
    randomise(layer, seed)
    actual = channels_last(array(layer(inputs)), data_format)
    assert error(actual, in_numpy(layer, x.astype("float64"), activation, gate)) < 1e-5


def test_the_maximum_is_the_papers_default() -> None:
    assert ConcurrentSqueezeExcite().combination == "max"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_excitation_is_that_of_the_channel_part(data_format: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype("float32")
    layer = ConcurrentSqueezeExcite(2, data_format=data_format)
    layer.build(x.shape)
    gates = layer.excitation(x)
    assert tuple(gates.shape) == (2, 6 if data_format == "channels_last" else 3)
    np.testing.assert_array_equal(array(gates), array(layer.channel.excitation(x)))


def test_a_mask_leaves_positions_out_of_the_channel_squeeze() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    mask = np.array([[True, True, False, True, False]] * 2)
    layer = ConcurrentSqueezeExcite(2)
    layer.build(x.shape)
    randomise(layer)
    kept = in_numpy(layer, x[:, mask[0]].astype("float64"), "relu", "sigmoid")
    assert error(array(layer(x, mask=mask))[:, mask[0]], kept) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"combination": "x"}, r"^combination must be .* Received: combination='x'$"),
        ({"combination": None}, r"^combination must be .* Received: combination=None$"),
        ({"r": 0}, r"^r must be a positive integer\. Received: r=0$"),
        ({"squeeze": "median"}, r"^squeeze must be .* Received: squeeze='median'$"),
        ({"data_format": "x"}, r"^data_format must be .* Received: data_format='x'$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConcurrentSqueezeExcite(**options)


def test_refuses_other_ranks() -> None:
    with pytest.raises(ValueError, match=r"rank 3, 4 or 5.* Received: input_shape=\(2, 8\)$"):
        ConcurrentSqueezeExcite()(np.zeros((2, 8), "float32"))


def test_excitation_before_build_keeps_the_layer_usable() -> None:
    layer, x = ConcurrentSqueezeExcite(2), np.ones((1, 3, 3, 4), "float32")
    gates = array(layer.excitation(x))
    layer(x)
    assert len(layer.weights) == 6
    np.testing.assert_array_equal(array(layer.excitation(x)), gates)
