"""Rewrites for what runtimes have no kernels for: the same function, made of other operations."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.lower_for_runtime import (
    average_by_convolution,
    relu_before_concatenation,
    spell_out_hard_swish,
    stride_by_convolution,
)
from keras_se.export.passes.pass_pipeline import optimized
from tests.support.arrays import in_float64
from tests.support.passes import applied

POOLINGS = pytest.mark.parametrize("pooling", [layers.AveragePooling2D, layers.MaxPooling2D])


def pooled(pooling, **options):
    image = keras.Input((7, 6, 3), dtype="float64")
    return keras.Model(image, pooling(dtype="float64", name="pool", **options)(image))


@POOLINGS
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_pooling_of_single_values_becomes_a_convolution(pooling, strides, padding):
    model = pooled(pooling, pool_size=1, strides=strides, padding=padding)
    x, expected = in_float64(model, (7, 6, 3))
    rewritten = applied(stride_by_convolution, model)
    assert isinstance(rewritten.get_layer("pool"), layers.DepthwiseConv2D)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rewritten(x)), expected)


@POOLINGS
@pytest.mark.parametrize(
    "options", [{"pool_size": 2}, {"pool_size": (1, 2)}, {"pool_size": 1, "strides": (1, 2)}], ids=str
)
def test_other_poolings_stay(pooling, options):
    model = pooled(pooling, **options)
    assert applied(stride_by_convolution, model) is model


@pytest.mark.parametrize("size", [1, 2, 3, (2, 3)])
@pytest.mark.parametrize("strides", [1, 2])
def test_an_average_without_padding_becomes_a_convolution(size, strides):
    model = pooled(layers.AveragePooling2D, pool_size=size, strides=strides)
    x, expected = in_float64(model, (7, 6, 3))
    rewritten = applied(average_by_convolution, model)
    assert isinstance(rewritten.get_layer("pool"), layers.DepthwiseConv2D)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rewritten(x)), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("pooling", "options"),
    [
        (layers.AveragePooling2D, {"padding": "same"}),
        (layers.AveragePooling2D, {"strides": (1, 2)}),
        (layers.AveragePooling2D, {"pool_size": 4}),  # the kernel would be larger than it is worth
        (layers.MaxPooling2D, {}),
    ],
    ids=str,
)
def test_other_averages_stay_poolings(pooling, options):
    model = pooled(pooling, **{"pool_size": 2, **options})
    assert applied(average_by_convolution, model) is model


def joined(relu, *, outside=False, more_readers=False):
    image = keras.Input((4, 4, 2), name="image", dtype="float64")
    branches = [layers.Conv2D(2, 1, dtype="float64", name=f"branch{i}")(image) for i in range(2)]
    x = layers.Concatenate(dtype="float64", name="joined")(branches)
    y = relu(x)
    if more_readers:
        y = layers.Add(dtype="float64", name="sum")([x, y])
    return keras.Model(image, [y, x] if outside else y, name="joining")


def relu_layer(**options):
    return layers.ReLU(dtype="float64", name="relu", **options)


@pytest.mark.parametrize("relu", [relu_layer(), layers.Activation("relu", dtype="float64", name="relu")], ids=str)
def test_a_relu_moves_before_the_concatenation(relu):
    model = joined(relu)
    x, expected = in_float64(model, (4, 4, 2))
    assert (expected == 0).any()
    rewritten = applied(relu_before_concatenation, model)
    assert "relu" not in [layer.name for layer in rewritten.layers]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rewritten(x)), expected)
    assert "relu" in [layer.name for layer in model.layers]


def test_a_relu_moves_inside_a_nested_model():
    image = keras.Input((4, 4, 2), dtype="float64")
    model = keras.Model(image, joined(relu_layer())(image))
    x, expected = in_float64(model, (4, 4, 2))
    rewritten = applied(relu_before_concatenation, model)
    assert "relu" not in [layer.name for layer in rewritten.get_layer("joining").layers]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rewritten(x)), expected)


@pytest.mark.parametrize(
    "build",
    [
        lambda: joined(relu_layer(max_value=6.0)),
        lambda: joined(relu_layer(negative_slope=0.1)),
        lambda: joined(relu_layer(), outside=True),
        lambda: joined(relu_layer(), more_readers=True),
        lambda: joined(layers.Activation("tanh", dtype="float64")),
    ],
)
def test_a_relu_stays_where_moving_it_would_change_something(build):
    model = build()
    assert applied(relu_before_concatenation, model) is model


def hard_swish_model() -> keras.Model:
    image = keras.Input((6, 6, 3), name="image")
    x = keras.layers.Activation("hard_swish", name="outer")(image)
    inner = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Activation("hard_silu", name="inner")], name="part")
    return keras.Model(image, keras.layers.Activation("relu", name="other")(inner(x)), name="swishing")


def test_hard_swish_is_spelled_out_exactly() -> None:
    model = hard_swish_model()
    rewritten = applied(spell_out_hard_swish, model)
    x = np.random.default_rng(0).normal(0, 4, (4, 6, 6, 3)).astype("float32")
    y = x.astype("float64")
    for _ in range(2):
        y = y * np.clip(y + 3, 0, 6) / 6
    np.testing.assert_allclose(rewritten.predict(x, verbose=0), np.maximum(y, 0), rtol=1e-6, atol=1e-6)
    assert type(rewritten.get_layer("outer")) is not type(model.get_layer("outer"))
    assert type(rewritten.get_layer("part").get_layer("inner")) is not keras.layers.Activation
    assert type(rewritten.get_layer("other")) is keras.layers.Activation
    assert applied(spell_out_hard_swish, rewritten) is rewritten


def test_passes_edit_the_results_of_earlier_ones() -> None:
    """A layer that one pass inserts can be edited by the next."""
    image = keras.Input((16, 16, 4), name="image")
    x = layers.Conv2D(8, 3, name="conv")(image)
    x = layers.BatchNormalization(name="norm")(layers.MaxPooling2D(1, strides=2, name="stride")(x))
    x = layers.AveragePooling2D(2, name="average")(layers.Activation("hard_swish", name="swish")(x))
    block = SqueezeExcite(2, name="se")
    model = keras.Model(image, layers.Conv2D(2, 1, name="end")(block(x)))
    block.reduce_bias.assign(np.full(4, -100.0))  # a dead one
    feeds = {"image": np.random.default_rng(0).normal(size=(4, 16, 16, 4)).astype("float32")}
    rewritten, notes = optimized(InferenceModel(model), feeds, runtime="LiteRT", activation_bits=8)
    assert notes == ["The gates of se are constant over the calibration data. The file stores them as constants."]
    assert "norm" not in [layer.name for layer in rewritten.model.layers]
    expected = model.predict(feeds["image"], verbose=0)
    np.testing.assert_allclose(rewritten.model.predict(feeds["image"], verbose=0), expected, rtol=1e-5, atol=1e-6)
