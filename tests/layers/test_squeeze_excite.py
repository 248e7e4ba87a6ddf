"""SqueezeExcite: its contract as a layer, its width, its weights, its gates, and what it refuses."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
from tests.support.arrays import array, error, randomise
from tests.support.layer_contract import check_layer
from tests.support.numpy_se import gates_in_numpy, squeeze_in_numpy, weights_in_numpy

SHAPES = [(2, 5, 6), (2, 3, 4, 6), (2, 2, 3, 2, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_keeps_the_contract_of_a_layer_in_every_rank(shape: tuple[int, ...], tmp_path: Path) -> None:
    check_layer(lambda **options: SqueezeExcite(2, **options), shape, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"bottleneck": 3, "squeeze": "max", "gate": "hard_sigmoid", "activation": "silu"},
        {"divisor": 8, "use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": "l2"},
        {"bias_initializer": "ones", "bias_regularizer": "l1", "kernel_constraint": "max_norm", "activation": None},
        {"bias_constraint": keras.constraints.MaxNorm(0.5), "name": "gates", "gate": keras.layers.ReLU(6.0)},
    ],
)
def test_keeps_the_contract_of_a_layer_with_every_argument(options: dict[str, Any], tmp_path: Path) -> None:
    check_layer(lambda **more: SqueezeExcite(2, **options, **more), (2, 3, 4, 6), tmp_path)


def test_the_config_has_what_was_asked_for() -> None:
    asked = {"r": 4, "bottleneck": 5, "divisor": 8, "squeeze": "max", "activation": "silu", "gate": "tanh"}
    asked |= {"use_bias": False, "data_format": "channels_first", "name": "here", "trainable": False}
    config = SqueezeExcite(**asked).get_config()
    assert {name: config[name] for name in asked} == asked


def test_the_data_format_is_keras_own_unless_given() -> None:
    keras.config.set_image_data_format("channels_first")
    assert SqueezeExcite().data_format == "channels_first"
    assert SqueezeExcite(data_format="channels_last").data_format == "channels_last"


# Width and weights


@pytest.mark.parametrize(
    ("channels", "options", "width"),
    [
        (64, {}, 4),
        (64, {"r": 1}, 64),
        (70, {"r": 16}, 4),  # rounded down
        (8, {"r": 16}, 1),  # and never to nothing
        (64, {"r": 16, "divisor": 8}, 8),
        (144, {"r": 16, "divisor": 8}, 16),  # 9 → 16: up
        (128, {"r": 16, "divisor": 8}, 8),  # a multiple already
        (8, {"r": 16, "divisor": 8}, 8),  # 1 → 8
        (64, {"bottleneck": 5}, 5),
        (64, {"r": 2, "bottleneck": 5, "divisor": 8}, 5),  # wins over both
        (4, {"bottleneck": 9}, 9),
    ],
)
def test_width_and_shapes_of_the_weights(channels: int, options: dict[str, int], width: int) -> None:
    layer = SqueezeExcite(**options)
    layer.build((None, None, None, channels))
    assert {weight.name: weight.shape for weight in layer.weights} == {
        "reduce_kernel": (channels, width),
        "reduce_bias": (width,),
        "expand_kernel": (width, channels),
        "expand_bias": (channels,),
    }


@pytest.mark.parametrize("r", [2, 4, 8, 16])
def test_weights_without_bias_are_those_of_the_paper(r: int) -> None:
    channels = 64
    layer = SqueezeExcite(r, use_bias=False)
    layer.build((None, 7, 7, channels))
    assert layer.count_params() == 2 / r * channels**2  # equation 5, one block


def test_an_unseeded_initializer_draws_every_weight_anew() -> None:
    layer = SqueezeExcite(1, kernel_initializer=keras.initializers.RandomNormal(), bias_initializer="random_normal")
    layer.build((None, 4, 4, 8))
    kernels, biases = (layer.reduce_kernel, layer.expand_kernel), (layer.reduce_bias, layer.expand_bias)
    assert not np.allclose(array(kernels[0]), array(kernels[1]))
    assert not np.allclose(array(biases[0]), array(biases[1]))


def test_regularizers_see_every_weight() -> None:
    layer = SqueezeExcite(
        2, kernel_regularizer=keras.regularizers.L1(1.0), bias_regularizer=keras.regularizers.L1(10.0)
    )
    layer.build((None, 4, 4, 8))
    weights = weights_in_numpy(layer)
    total = sum(np.abs(value).sum() * (10 if "bias" in name else 1) for name, value in weights.items())
    assert sum(float(loss) for loss in layer.losses) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_carry_between_data_formats(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    last, first = SqueezeExcite(2, data_format="channels_last"), SqueezeExcite(2, data_format="channels_first")
    last.build(shape)
    randomise(last)
    moved = np.moveaxis(x, -1, 1)
    first.build(moved.shape)
    first.set_weights(last.get_weights())
    assert error(np.moveaxis(array(first(moved)), 1, -1), array(last(x))) < 1e-6


def test_weights_carry_between_ranks() -> None:
    x = np.random.default_rng(0).normal(size=(2, 12, 6)).astype("float32")
    sequence = SqueezeExcite(2)
    sequence.build(x.shape)
    randomise(sequence)
    for shape in [(2, 3, 4, 6), (2, 3, 2, 2, 6)]:  # the same positions, arranged otherwise
        layer = SqueezeExcite(2)
        layer.build(shape)
        layer.set_weights(sequence.get_weights())
        assert error(array(layer(x.reshape(shape))).reshape(x.shape), array(sequence(x))) < 1e-6


# excitation()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", SHAPES)
def test_excitation_is_what_is_applied(shape: tuple[int, ...], data_format: str) -> None:
    x = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    inputs = np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    layer = SqueezeExcite(2, data_format=data_format)
    gates = array(layer.excitation(inputs))  # before the layer was called
    assert gates.shape == (shape[0], shape[-1])
    ratio = array(layer(inputs)) / inputs
    ratio = np.moveaxis(ratio, 1, -1) if data_format == "channels_first" else ratio
    assert error(ratio.reshape(shape[0], -1, shape[-1]), np.repeat(gates[:, None], np.prod(shape[1:-1]), 1)) < 1e-6


def test_excitation_before_build_leaves_a_layer_that_can_be_used() -> None:
    layer, x = SqueezeExcite(2), np.ones((1, 3, 3, 4), "float32")
    gates = array(layer.excitation(x))
    layer(x)
    assert len(layer.weights) == 4
    np.testing.assert_array_equal(array(layer.excitation(x)), gates)


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 4, 4, 4, 8), (2, 4, 4, 6), (2, 8)])
@pytest.mark.parametrize("make", [SqueezeExcite, SpatialSqueezeExcite, ConcurrentSqueezeExcite])
def test_excitation_refuses_what_the_layer_was_not_built_for(make: type, shape: tuple[int, ...]) -> None:
    layer = make()
    layer(np.zeros((2, 4, 4, 8), "float32"))
    with pytest.raises(ValueError, match="was built for inputs of rank 4 with 8 channels on axis 3") as caught:
        layer.excitation(np.zeros(shape, "float32"))
    assert str(caught.value).endswith(f"Received: inputs of shape {shape}")


def test_excitation_refuses_symbolic_tensors() -> None:
    with pytest.raises(ValueError, match=r"excitation\(\) requires an array .*Received: inputs=<KerasTensor"):
        SqueezeExcite().excitation(keras.Input((4, 4, 3)))


# Accuracy in mixed precision


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "bfloat16", "mixed_bfloat16"])
def test_a_mean_over_many_half_precision_values_keeps_its_digits(policy: str) -> None:
    """The gate is the mean minus 1000, so that it shows digits that the mean itself could not keep in the format."""
    compute_dtype = policy.removeprefix("mixed_")
    step = {"float16": 0.5, "bfloat16": 4.0}[compute_dtype]  # between neighbours around 1000
    steps = np.random.default_rng(0).choice([0, 0, 1, 2], (1, 512, 512, 2))
    x = (1000 + step * steps).astype("float32")  # exact in the format; the sum is 4,000 times float16's largest number
    layer = SqueezeExcite(1, activation="linear", gate="linear", dtype=policy)
    layer.build(x.shape)
    layer.set_weights([np.eye(2), np.full(2, -1000.0), np.eye(2), np.zeros(2)])

    gates = layer.excitation(x)
    assert keras.backend.standardize_dtype(gates.dtype) == compute_dtype
    expected = squeeze_in_numpy(x.astype("float64"), "avg") - 1000
    rounding = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[compute_dtype] * expected.max()
    # What rounding the gate itself costs, and float32's 1e-6 of 1000.
    assert np.max(np.abs(array(gates) - expected)) < rounding + 1e-3


@pytest.mark.parametrize("compute_dtype", ["float16", "bfloat16"])
def test_gates_in_mixed_precision_are_rounded_once(compute_dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 32)).astype("float32")
    x = array(keras.ops.cast(x, compute_dtype))  # what the layer sees
    layer = SqueezeExcite(4, dtype=f"mixed_{compute_dtype}")
    layer.build(x.shape)
    expected = gates_in_numpy(squeeze_in_numpy(x, "avg"), weights_in_numpy(layer), "relu", "sigmoid")
    rounding = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[compute_dtype]
    assert np.max(np.abs(array(layer.excitation(x.astype("float32"))) / expected - 1)) < 1.01 * rounding


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *[({"r": r}, rf"^r must be a positive integer\. Received: r={r!r}$") for r in (0, -1, "x", 2.5, True, None)],
        ({"bottleneck": 0}, r"^bottleneck must be .* Received: bottleneck=0$"),
        ({"divisor": 0}, r"^divisor must be .* Received: divisor=0$"),
        ({"divisor": 1.5}, r"^divisor must be .* Received: divisor=1.5$"),
        ({"squeeze": "median"}, r"^squeeze must be .* Received: squeeze='median'$"),
        ({"squeeze": None}, r"^squeeze must be .* Received: squeeze=None$"),
        ({"data_format": "x"}, r"^data_format must be .* Received: data_format='x'$"),
        ({"gate": "x"}, r"activation function.* x$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SqueezeExcite(**options)


def test_takes_a_numpy_integer_for_an_integer() -> None:
    assert SqueezeExcite(np.int64(4)).get_config()["r"] == 4


@pytest.mark.parametrize("shape", [(2, 8), (8,), (2, 1, 1, 1, 1, 8)])
def test_refuses_other_ranks(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"SqueezeExcite requires inputs of rank 3, 4 or 5.* Received: input_shape=\("):
        SqueezeExcite()(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    ("data_format", "shape", "axis"), [("channels_last", (4, 4, None), 3), ("channels_first", (None, 4, 4), 1)]
)
def test_refuses_an_unknown_number_of_channels(data_format: str, shape: tuple, axis: int) -> None:
    message = rf"SqueezeExcite requires a known number of channels on axis {axis} .* Received: input_shape=\(None, "
    with pytest.raises(ValueError, match=message):
        SqueezeExcite(data_format=data_format)(keras.Input(shape))


def test_refuses_another_number_of_channels_than_it_was_built_for() -> None:
    layer = SqueezeExcite(2)
    layer(np.zeros((1, 2, 2, 8), "float32"))
    with pytest.raises(ValueError, match="expected axis 3 of input shape to have value 8"):
        layer(np.zeros((1, 2, 2, 4), "float32"))


@pytest.mark.parametrize("shape", [(1, 512, 512, 2)])
def test_a_mean_over_many_values_is_accurate(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).uniform(0, 1, shape).astype("float32")
    layer = SqueezeExcite(1)
    layer.build(x.shape)
    gates = gates_in_numpy(squeeze_in_numpy(x.astype("float64"), "avg"), weights_in_numpy(layer), "relu", "linear")
    layer.gate = keras.activations.linear
    assert error(array(layer.excitation(x)), gates) < 1e-5


def test_refuses_no_channels() -> None:
    with pytest.raises(ValueError, match=r"channels.* Received: input_shape=\(1, 2, 2, 0\)$"):
        SqueezeExcite()(np.zeros((1, 2, 2, 0), "float32"))
