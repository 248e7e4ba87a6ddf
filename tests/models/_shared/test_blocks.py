"""Convolutions and poolings of every padding, against loops in NumPy, and the rules of widths."""

import keras
import numpy as np
import pytest

from keras_se.models._shared import blocks
from tests.support.arrays import array, error
from tests.support.numpy_networks import conv, max_pool_ceil, max_pool_padded


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 1), (3, 2, 2), (7, 1, 1), (7, 2, 1)]
)
def test_convolutions_pad_on_both_sides(kernel: int, stride: int, groups: int) -> None:
    inputs = keras.Input((None, None, 2))
    layers = keras.Model(inputs, blocks.conv(inputs, 4, kernel, stride, groups=groups, name="conv"))
    weights = array(layers.get_layer("conv").kernel)
    for height, width in [(7, 7), (8, 8), (9, 12)]:
        x = np.random.default_rng(height).normal(size=(1, height, width, 2)).astype("float32")
        expected = np.concatenate(
            [
                conv(x[..., np.arange(2) % groups == g], weights[..., np.arange(4) // (4 // groups) == g], stride)
                for g in range(groups)
            ],
            axis=-1,
        )
        assert error(array(layers(x)), expected) < 1e-6


SIZES = [(size, size) for size in range(3, 13)] + [(5, 8), (8, 5)]


@pytest.mark.parametrize("size", SIZES)
def test_pooling_of_known_sizes(size: tuple[int, int]) -> None:
    inputs = keras.Input((*size, 2))
    pool = keras.Model(inputs, blocks.max_pool_ceil(inputs, name="pool"))
    x = np.random.default_rng(0).uniform(0, 1, (2, *size, 2)).astype("float32")
    np.testing.assert_array_equal(array(pool(x)), max_pool_ceil(x.astype("float64")))
    assert pool.output_shape[1:3] == max_pool_ceil(x).shape[1:3]


@pytest.mark.parametrize("shape", [(None, None, 2), (None, 8, 2), (7, None, 2)])
def test_pooling_of_unknown_sizes(shape: tuple) -> None:
    inputs = keras.Input(shape)
    pool = keras.Model(inputs, blocks.max_pool_ceil(inputs, name="pool"))
    for size in SIZES:
        if all(known in (None, actual) for known, actual in zip(shape[:2], size, strict=True)):
            x = np.random.default_rng(0).uniform(0, 1, (2, *size, 2)).astype("float32")
            np.testing.assert_array_equal(array(pool(x)), max_pool_ceil(x.astype("float64")))


def test_pooling_of_known_even_and_odd_sizes_is_one_layer() -> None:
    for size in (8, 9):
        inputs = keras.Input((size, size, 2))
        assert len(keras.Model(inputs, blocks.max_pool_ceil(inputs, name="pool")).layers) == 2


@pytest.mark.parametrize("size", [(5, 8), (8, 5), (6, 6), (7, 7), (1, 2)])
@pytest.mark.parametrize("known", [True, False])
def test_padded_pooling(known: bool, size: tuple[int, int]) -> None:
    inputs = keras.Input((*size, 2) if known else (None, None, 2))
    pool = keras.Model(inputs, blocks.max_pool_padded(inputs, name="pool"))
    x = np.random.default_rng(0).uniform(0, 1, (2, *size, 2)).astype("float32")
    np.testing.assert_array_equal(array(pool(x)), max_pool_padded(x.astype("float64")))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "ends"),  # the rows and columns of zeros before and after the image, if it is even
    [
        (3, 1, "same", (1, 1)),
        (3, 2, "same", (0, 1)),
        (5, 2, "same", (1, 2)),
        (3, 1, "symmetric", (1, 1)),
        (3, 2, "symmetric", (1, 1)),
        (5, 2, "symmetric", (2, 2)),
        (3, 2, "end", (0, 1)),
        (3, 2, "valid", (0, 0)),
    ],
)
@pytest.mark.parametrize("depth_multiplier", [1, 2])
def test_depthwise_convolutions(
    kernel: int, stride: int, padding: str, ends: tuple[int, int], depth_multiplier: int
) -> None:
    inputs = keras.Input((8, 10, 3))
    options = {"padding": padding, "depth_multiplier": depth_multiplier}
    model = keras.Model(inputs, blocks.depthwise(inputs, kernel, stride, name="depthwise", **options))
    x = np.random.default_rng(0).normal(size=(1, 8, 10, 3))
    weights = array(model.get_layer("depthwise").kernel).reshape(kernel, kernel, 1, 3 * depth_multiplier)
    padded = np.pad(x, ((0, 0), ends, ends, (0, 0)))
    # NumPy pads on both sides; that is cut off again, before it strides.
    border = slice(kernel // 2, -(kernel // 2))
    expected = conv(padded, weights, 1)[:, border, border][:, ::stride, ::stride]
    assert error(array(model(x.astype("float32"))), expected) < 1e-6


def test_one_row_and_column_at_the_end_whatever_the_size() -> None:
    for size in (7, 8):
        inputs = keras.Input((size, size, 1))
        assert blocks.depthwise(inputs, 3, 2, padding="end", name="depthwise").shape == (None, size // 2, size // 2, 1)
        assert blocks.depthwise(inputs, 3, 1, padding="end", name="depthwise").shape == (None, size, size, 1)


def test_convolutions_of_rectangles() -> None:
    inputs = keras.Input((9, 8, 2))
    for stride, shape in [(1, (None, 9, 8, 3)), (2, (None, 5, 4, 3))]:
        assert blocks.conv(inputs, 3, (1, 7), stride, name="conv").shape == shape
        assert blocks.conv(inputs, 3, (7, 1), stride, name="conv").shape == shape


def test_a_batch_norm_and_its_activation() -> None:
    inputs = keras.Input((8, 8, 2))
    for activation, names in [("relu6", ["name_bn", "name_relu"]), ("hard_swish", ["name_bn", "name_hard_swish"])]:
        model = keras.Model(inputs, blocks.bn_act(inputs, activation, epsilon=0.01, scale=False, name="name"))
        assert [layer.name for layer in model.layers[1:]] == names
        assert model.layers[2].activation is keras.activations.get(activation)
        assert (model.layers[1].epsilon, model.layers[1].scale) == (0.01, False)
    assert len(keras.Model(inputs, blocks.bn_act(inputs, None, name="name")).layers) == 2


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (1, 8),
        (4, 8),
        (8, 8),
        (11, 16),
        (12, 16),
        (17, 16),
        (17.7, 16),
        (18, 24),
        (20, 24),
        (24, 24),
        (35, 32),
        (36, 40),
    ],
)
def test_multiples_of_8(filters: float, expected: int) -> None:
    # The nearest one, halves up; but not less than 90 % of what was asked: 18 is nearer to 16, which is 89 %.
    assert blocks.divisible(filters) == expected
    assert abs(expected - filters) <= 4 or expected > filters


@pytest.mark.parametrize(("filters", "factor", "expected"), [(64, 0.25, 16), (10, 0.29, 2), (3, 0.1, 1), (64, 1.5, 96)])
def test_width_multipliers(filters: int, factor: float, expected: int) -> None:
    assert blocks.scaled(filters, factor) == expected
