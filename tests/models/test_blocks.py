"""Convolutions with symmetric padding and pooling in ceil mode, against loops in NumPy."""

import keras
import numpy as np
import pytest
from helpers import array, error
from numpy_network import conv, max_pool_ceil

from keras_se.models import blocks


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
