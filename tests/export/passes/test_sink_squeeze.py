"""The squeeze, moved through a convolution: the same function where it is moved, and not moved where it is not."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.export import to_onnx
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.fold_batch_norm import fold_batch_norm
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.passes.sink_squeeze import SqueezeExciteBefore, sink_squeeze
from keras_se.graph.copy_layers import CannotCopyError
from keras_se.models import SEMobileNetV2, SEPreActResNet, SEResNet
from tests.support.arrays import in_float64
from tests.support.networks import sample
from tests.support.networks.exported import enliven, every_layer
from tests.support.passes import applied


def moved(model):
    return [layer.name for layer in every_layer(model) if isinstance(layer, SqueezeExciteBefore)]


def narrow_conv(filters=8, kernel=1, **options):
    return layers.Conv2D(filters, kernel, dtype="float64", name="conv", **options)


def excite(**options):
    return SqueezeExcite(2, dtype="float64", name="se", **options)


@st.composite
def recipes(draw):
    """What a convolution and an excitation behind it are made of, and what else reads the convolution."""
    inputs = draw(st.integers(1, 4))
    conv = {
        "filters": inputs + draw(st.integers(1, 9)),
        "use_bias": draw(st.booleans()),
        "padding": draw(st.sampled_from(["same", "valid"])),
    }
    block = {
        "bottleneck": draw(st.sampled_from([None, 1, 3])),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from(["relu", "silu", "tanh", None])),
        "gate": draw(st.sampled_from(["sigmoid", "hard_sigmoid", "softmax", "tanh"])),
    }
    space = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    return inputs, space, conv, block, draw(st.booleans()), draw(st.sampled_from(["nothing", "norm", "sum", "joined"]))


@settings(max_examples=60, deadline=None)
@given(recipes(), st.integers(0, 2**32 - 1))
def test_moving_the_squeeze_keeps_the_function(recipe, seed):
    channels, space, conv_options, block_options, unknown_sizes, beside = recipe
    shape = (*space, channels)
    image = keras.Input((None, None, channels) if unknown_sizes else shape, dtype="float64")
    x = layers.Activation("tanh", dtype="float64")(image)
    x = y = narrow_conv(**conv_options)(x)
    if beside == "norm":
        x = layers.BatchNormalization(dtype="float64")(x)
    x = excite(**block_options)(x)
    x = layers.Add(dtype="float64")([x, y]) if beside == "sum" else x
    if beside == "joined":
        x = layers.Concatenate(dtype="float64")([x, y])
    model = keras.Model(image, x)
    x, expected = in_float64(model, shape, seed)
    rewritten = applied(fold_batch_norm, sink_squeeze, model)
    assert moved(rewritten) == ["se"]
    actual = keras.ops.convert_to_numpy(rewritten(x))
    assert np.abs(actual - expected).max() <= 1e-11 * np.abs(expected).max()


def test_merged_weights_follow_the_formula():
    image = keras.Input((3, 2, 2), dtype="float64")
    model = keras.Model(image, excite()(narrow_conv(6)(image)))
    x, _ = in_float64(model, (3, 2, 2))
    rewritten = applied(sink_squeeze, model).get_layer("se")
    kernel, bias = model.get_layer("conv").get_weights()
    w1, b1, w2, b2 = model.get_layer("se").get_weights()
    expected = [kernel[0, 0] @ w1, bias @ w1 + b1, w2, b2]
    for weight, wanted in zip(rewritten.get_weights(), expected, strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-12)
    # The gates by hand: from the convolution's input.
    hidden = np.maximum(x.mean(axis=(1, 2)) @ expected[0] + expected[1], 0)
    gates = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    y = x @ kernel[0, 0] + bias
    actual = keras.ops.convert_to_numpy(applied(sink_squeeze, model)(x))
    np.testing.assert_allclose(actual, y * gates[:, None, None], rtol=1e-12)


def a_larger_kernel(x):
    return excite()(narrow_conv(kernel=3, padding="same")(x))


def a_larger_kernel_along_one_axis(x):
    return excite()(narrow_conv(kernel=(1, 2))(x))


def a_stride(x):
    return excite()(narrow_conv(strides=2)(x))


def a_stride_along_one_axis(x):
    return excite()(narrow_conv(strides=(1, 2))(x))


def groups(x):
    return excite()(narrow_conv(groups=2)(x))


def an_activation_between(x):
    return excite()(layers.ReLU(dtype="float64")(narrow_conv()(x)))


def an_activation_inside(x):
    return excite()(narrow_conv(activation="relu")(x))


def a_norm_between(x):
    return excite()(layers.BatchNormalization(dtype="float64")(narrow_conv()(x)))


def padding_between(x):
    return excite()(layers.ZeroPadding2D(1, dtype="float64")(narrow_conv()(x)))


def a_wider_input(x):
    return excite()(narrow_conv(3)(x))


def an_input_as_wide(x):
    return excite()(narrow_conv(4)(x))


def the_maximum(x):
    return excite(squeeze="max")(narrow_conv()(x))


def another_squeeze(x):
    return excite(squeeze=keras.ops.mean)(narrow_conv()(x))


def a_mask(x):
    return excite()(narrow_conv()(x), mask=x[..., 0] > 0)


def a_convolution_called_twice(x):
    conv = narrow_conv()
    return layers.Add(dtype="float64")([excite()(conv(x)), conv(layers.ReLU(dtype="float64")(x))])


def an_excitation_called_twice(x):
    block = excite()
    return block(block(narrow_conv()(x)))


def an_activation_with_weights(x):
    return excite(activation=layers.PReLU(dtype="float64"))(narrow_conv()(x))


def another_layer_of_gates(x):
    return ConcurrentSqueezeExcite(2, dtype="float64")(narrow_conv()(x))


def a_subclass(x):
    class Doubled(SqueezeExcite):
        def call(self, inputs, mask=None):
            return 2 * super().call(inputs, mask)

    return Doubled(2, dtype="float64")(narrow_conv()(x))


def a_subclass_of_the_convolution(x):
    class Squared(layers.Conv2D):
        def call(self, inputs):
            return super().call(inputs) ** 2

    return excite()(Squared(8, 1, dtype="float64")(x))


def adapters(x):
    conv = narrow_conv()
    y = conv(x)
    conv.enable_lora(2)
    return excite()(y)


def channels_first(x):
    conv = layers.Conv2D(8, 1, data_format="channels_first", dtype="float64")
    return SqueezeExcite(2, data_format="channels_first", dtype="float64")(conv(x))


def channels_first_of_one(x):
    return SqueezeExcite(2, data_format="channels_first", dtype="float64")(narrow_conv()(x))


def of_another_precision(x):
    return SqueezeExcite(2, dtype="float64")(layers.Conv2D(8, 1, dtype="float32")(x))


def along_time(x):
    steps = layers.Reshape((24, 4), dtype="float64")(x)
    return excite()(layers.Conv1D(8, 1, dtype="float64")(steps))


NOT_MOVED = [
    a_larger_kernel,
    a_larger_kernel_along_one_axis,
    a_stride,
    a_stride_along_one_axis,
    groups,
    an_activation_between,
    an_activation_inside,
    a_norm_between,
    padding_between,
    a_wider_input,
    an_input_as_wide,
    the_maximum,
    another_squeeze,
    a_mask,
    a_convolution_called_twice,
    an_excitation_called_twice,
    an_activation_with_weights,
    another_layer_of_gates,
    a_subclass,
    a_subclass_of_the_convolution,
    adapters,
    channels_first,
    channels_first_of_one,
    of_another_precision,
    along_time,
]


@pytest.mark.parametrize("build", NOT_MOVED, ids=lambda build: build.__name__)
def test_squeeze_stays_where_moving_is_inexact_or_costly(build):
    image = keras.Input((4, 6, 4), dtype="float64")
    model = keras.Model(image, build(image))
    assert applied(sink_squeeze, model) is model


def test_plain_pair_beside_these_cases_is_moved():
    """The cases above are refused for what they say: the plain one beside them is not."""
    image = keras.Input((4, 6, 4), dtype="float64")
    assert moved(applied(sink_squeeze, keras.Model(image, excite()(narrow_conv()(image))))) == ["se"]
    called_by_keyword = keras.Model(image, excite()(inputs=narrow_conv()(inputs=image)))
    assert moved(applied(sink_squeeze, called_by_keyword)) == ["se"]


NETWORKS = {
    "bottleneck": lambda: SEResNet(
        (1, 2), block="bottleneck", filters=(4, 8), stem="small", input_shape=(16, 16, 3), r=4
    ),
    "preact": lambda: SEPreActResNet((1, 1), block="bottleneck", filters=(4, 8), input_shape=(16, 16, 3), r=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_block_of_a_bottleneck_network_is_moved(name):
    model = NETWORKS[name]()
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    enliven(model, [x])
    blocks = [layer.name for layer in model.layers if isinstance(layer, SqueezeExcite)]
    rewritten, notes = optimized(InferenceModel(model))
    assert moved(rewritten.model) == blocks
    assert notes == []
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(rewritten.model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["se_resnet", "se_mobilenet", "sequence", "grouped"])
def test_no_block_behind_an_activation_or_a_3x3_is_moved(name):
    assert moved(optimized(InferenceModel(sample(name).model))[0].model) == []


def test_squeeze_behind_a_narrowing_projection_stays():
    model = SEMobileNetV2(alpha=0.35, input_shape=(32, 32, 3), classes=3)
    assert moved(optimized(InferenceModel(model))[0].model) == []


def test_blocks_of_nested_models_are_moved():
    def part(x, name):
        return excite()(layers.Conv2D(8, 1, dtype="float64", name=name)(x))

    image = keras.Input((4, 4, 3), dtype="float64")
    inner = keras.Model(image, part(image, "inner_conv"), name="inner")
    outer = keras.Input((4, 4, 3), dtype="float64")
    model = keras.Model(outer, inner(outer))
    x, expected = in_float64(model, (4, 4, 3))
    rewritten = applied(sink_squeeze, model)
    assert moved(rewritten) == ["se"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rewritten(x)), expected, rtol=1e-11)


def test_constant_gates_are_frozen_rather_than_moved():
    image = keras.Input((4, 4, 3), name="image")
    block = SqueezeExcite(2, name="se")
    model = keras.Model(image, block(layers.Conv2D(8, 1, name="conv")(image)))
    block.reduce_bias.assign(np.full(4, -100.0))  # a dead one
    feeds = {"image": np.random.default_rng(0).normal(size=(4, 4, 4, 3)).astype("float32")}
    rewritten, notes = optimized(InferenceModel(model), feeds)
    assert notes == ["The gates of se are constant over the calibration data. The file stores them as constants."]
    assert moved(rewritten.model) == []


def test_moved_block_can_be_copied_and_moves_once():
    image = keras.Input((4, 4, 3), dtype="float64")
    model = keras.Model(image, excite()(narrow_conv()(image)))
    x, expected = in_float64(model, (4, 4, 3))
    once = applied(sink_squeeze, model)
    assert applied(sink_squeeze, once) is once
    copy = keras.models.clone_model(once)
    copy.set_weights(once.get_weights())
    np.testing.assert_allclose(keras.ops.convert_to_numpy(copy(x)), expected, rtol=1e-11)


def doubled(x):
    return 2 * keras.ops.sigmoid(x)


def test_uncopiable_gate_exports_without_rewrites(tmp_path):
    image = keras.Input((6, 6, 4))
    y = SqueezeExcite(2, gate=doubled, name="se")(layers.Conv2D(8, 1)(image))
    model = keras.Model(image, layers.GlobalAveragePooling2D()(y))
    artifact = to_onnx(model, tmp_path / "m.onnx")
    assert artifact.parity.passed
    assert any("without rewrites, since se cannot be copied" in note for note in artifact.notes)


class Drawn(keras.initializers.Initializer):
    """Without a configuration."""

    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)

    def get_config(self):
        raise NotImplementedError


def test_uncopiable_convolution_is_named_in_the_error():
    image = keras.Input((6, 6, 4))
    conv = layers.Conv2D(8, 1, kernel_initializer=Drawn(), name="conv")
    model = keras.Model(image, layers.BatchNormalization()(conv(image)))
    with pytest.raises(CannotCopyError, match="conv"):
        applied(fold_batch_norm, model)
