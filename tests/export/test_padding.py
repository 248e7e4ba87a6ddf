"""Padding with zeros before a convolution: part of it where its own would be the same, and left where not."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_se.export.inference import InferenceModel
from keras_se.export.optimize import optimized
from keras_se.export.padding import pad_inside_convolution
from keras_se.models import SEMobileNet, SEResNet

from .networks import every_layer, in_float64


def pads(model):
    return [layer.name for layer in every_layer(model) if isinstance(layer, layers.ZeroPadding2D)]


def padded(sizes, zeros, kernel, make=layers.Conv2D, **options):
    image = keras.Input((*sizes, 2), dtype="float64")
    x = layers.ZeroPadding2D(zeros, dtype="float64", name="pad")(image)
    widths = {"filters": 3} if make is layers.Conv2D else {}
    return keras.Model(image, make(kernel_size=kernel, dtype="float64", name="conv", **widths, **options)(x))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.sampled_from([layers.Conv2D, layers.DepthwiseConv2D]),
)
def test_the_function_is_the_same_and_padding_goes_where_it_can(sizes, padding, kernel, stride, make):
    if any(size + sum(ends) < window for size, ends, window in zip(sizes, padding, kernel, strict=True)):
        return
    model = padded(sizes, padding, kernel, make, strides=stride)
    x, expected = in_float64(model, (*sizes, 2))
    rewritten = pad_inside_convolution(model)
    # Independently of the formula: Keras' own padding computes the same.
    same = padded(sizes, 0, kernel, make, strides=stride, padding="same")
    same.set_weights(model.get_weights())
    other = keras.ops.convert_to_numpy(same(x))
    assert (rewritten is not model) == (other.shape == expected.shape and np.allclose(other, expected, rtol=1e-9))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rewritten(x)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "padding", "merged"),
    [
        (8, ((0, 1), (0, 1)), True),
        (8, 1, False),
        (7, 1, True),
        (7, ((0, 1), (0, 1)), False),
        (8, ((0, 1), (1, 1)), False),
    ],
)
@pytest.mark.parametrize("make", [layers.Conv2D, layers.DepthwiseConv2D])
def test_a_3x3_with_a_stride_of_2(size, padding, merged, make):
    model = padded((size, size), padding, 3, make, strides=2)
    assert pads(pad_inside_convolution(model)) == ([] if merged else ["pad"])


def test_a_dilated_convolution():
    assert pads(pad_inside_convolution(padded((8, 8), 2, 3, dilation_rate=2))) == []
    model = padded((8, 8), 1, 3, dilation_rate=2)
    assert pad_inside_convolution(model) is model


def read_twice():
    image = keras.Input((7, 7, 2))
    x = layers.ZeroPadding2D(1)(image)
    return keras.Model(image, layers.Add()([layers.Conv2D(3, 3, strides=2)(x), layers.Conv2D(3, 3, strides=2)(x)]))


def called_twice():
    image = keras.Input((7, 7, 2))
    conv = layers.Conv2D(2, 3, strides=2)
    return keras.Model(image, conv(layers.ZeroPadding2D(1)(conv(layers.ZeroPadding2D(1)(image)))))


def an_output_too():
    image = keras.Input((7, 7, 2))
    x = layers.ZeroPadding2D(1)(image)
    return keras.Model(image, [x, layers.Conv2D(3, 3, strides=2)(x)])


def before_a_pooling():
    image = keras.Input((7, 7, 2))
    return keras.Model(image, layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(image)))


def of_channels():
    image = keras.Input((7, 7, 7))
    x = layers.ZeroPadding2D(1, data_format="channels_first")(image)
    return keras.Model(image, layers.Conv2D(3, 3, strides=2)(x))


def of_unknown_sizes():
    image = keras.Input((None, 7, 2))
    return keras.Model(image, layers.Conv2D(3, 3, strides=2)(layers.ZeroPadding2D(1)(image)))


def padded_twice():
    image = keras.Input((7, 7, 2))
    return keras.Model(image, layers.Conv2D(3, 3, strides=2, padding="same")(layers.ZeroPadding2D(1)(image)))


@pytest.mark.parametrize(
    "build", [read_twice, called_twice, an_output_too, before_a_pooling, of_channels, of_unknown_sizes, padded_twice]
)
def test_padding_stays_where_it_is_not_the_convolutions(build):
    model = build()
    assert pad_inside_convolution(model) is model


def test_networks():
    """MobileNets pad even sizes at their end, as "same" does; ResNets pad on both sides, as it does odd sizes."""
    mobile = SEMobileNet(alpha=0.25, input_shape=(32, 32, 3), classes=3)
    odd, even = (
        SEResNet((1, 1), block="basic", filters=(4, 8), stem="small", input_shape=(size, size, 3), classes=3)
        for size in (17, 16)
    )
    assert all(pads(model) for model in (mobile, odd, even))
    for model in (mobile, odd):
        assert pads(optimized(InferenceModel(model))[0].model) == []
    assert pads(optimized(InferenceModel(even))[0].model) == ["stage2_block1_conv1_pad"]
