"""Passes before conversion: exact where they edit, and no edit where it would not be exact."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export import to_saved_model
from keras_se.export.passes.fold_batch_norm import fold_batch_norm
from keras_se.export.passes.freeze_gates import freeze_gates
from keras_se.graph.rewrite import GraphEdits
from tests.support.arrays import in_float64
from tests.support.networks import EXPORTED, sample
from tests.support.networks.exported import enliven, every_layer, images, se_resnet
from tests.support.passes import applied

CONVOLUTIONS = {
    "Conv1D": (layers.Conv1D, (7,)),
    "Conv2D": (layers.Conv2D, (6, 5)),
    "Conv3D": (layers.Conv3D, (4, 5, 4)),
    "DepthwiseConv1D": (layers.DepthwiseConv1D, (7,)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D, (6, 5)),
}


def norms(model):
    return [layer.name for layer in every_layer(model) if isinstance(layer, layers.BatchNormalization)]


@st.composite
def recipes(draw):
    """What a convolution and its batch norm are made of."""
    kind = draw(st.sampled_from(sorted(CONVOLUTIONS)))
    groups = 1 if "Depthwise" in kind or kind == "Conv3D" else draw(st.sampled_from([1, 2]))
    width = draw(st.integers(1, 3))
    widths = {"depth_multiplier": width} if "Depthwise" in kind else {"filters": width * groups, "groups": groups}
    sizes = {"kernel_size": draw(st.integers(1, 3)), "strides": draw(st.integers(1, 2))}
    conv = {**widths, **sizes, "padding": draw(st.sampled_from(["same", "valid"])), "use_bias": draw(st.booleans())}
    norm = {"scale": draw(st.booleans()), "center": draw(st.booleans()), "epsilon": draw(st.sampled_from([1e-3, 1e-5]))}
    return kind, draw(st.integers(1, 2)) * groups, conv, norm, draw(st.booleans()), draw(st.booleans())


@settings(max_examples=60, deadline=None)
@given(recipes(), st.integers(0, 2**32 - 1))
def test_folding_keeps_the_function(recipe, seed):
    kind, channels, conv_options, norm_options, activation_before, activation_after = recipe
    make, space = CONVOLUTIONS[kind]
    inputs = keras.Input((*space, channels), dtype="float64")
    x = layers.ReLU(dtype="float64")(inputs) if activation_before else inputs
    x = make(dtype="float64", **conv_options)(x)
    x = layers.BatchNormalization(dtype="float64", **norm_options)(x)
    model = keras.Model(inputs, layers.Activation("tanh", dtype="float64")(x) if activation_after else x)
    x, expected = in_float64(model, (*space, channels), seed)
    folded = applied(fold_batch_norm, model)
    assert norms(folded) == []
    assert len(folded.layers) == len(model.layers) - 1
    actual = keras.ops.convert_to_numpy(folded(x))
    assert np.abs(actual - expected).max() <= 1e-12 * np.abs(expected).max()


def conv(filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", **options)


def activation_between(x):
    return layers.BatchNormalization()(layers.ReLU()(conv()(x)))


def activation_inside(x):
    return layers.BatchNormalization()(conv(activation="relu")(x))


def read_elsewhere(x):
    y = conv()(x)
    return layers.Add()([layers.BatchNormalization()(y), y])


def read_by_two_norms(x):
    y = conv()(x)
    return layers.Add()([layers.BatchNormalization()(y), layers.BatchNormalization()(y)])


def an_output_too(x):
    y = conv()(x)
    return [layers.BatchNormalization()(y), y]


def called_twice(x):
    shared = conv(3)
    return layers.BatchNormalization()(shared(shared(x)))


def norm_called_twice(x):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(conv()(x)), norm(conv()(x))])


def over_another_axis(x):
    return layers.BatchNormalization(axis=1)(conv()(x))


def over_another_axis_of_the_same_size(x):
    return layers.BatchNormalization(axis=2)(conv(8)(x))


def in_training_mode(x):
    return layers.BatchNormalization()(conv()(x), training=True)


def before_the_convolution(x):
    return conv()(layers.BatchNormalization()(x))


def transposed(x):
    return layers.BatchNormalization()(layers.Conv2DTranspose(4, 3)(x))


def mask(x):
    return layers.BatchNormalization()(layers.Dense(4)(layers.Masking()(x)))


def mask_after_a_convolution(x):
    return layers.BatchNormalization()(conv()(x), mask=x[..., 0] > 0)


NOT_FOLDED = [
    mask,
    mask_after_a_convolution,
    activation_between,
    activation_inside,
    read_elsewhere,
    read_by_two_norms,
    an_output_too,
    called_twice,
    norm_called_twice,
    over_another_axis,
    over_another_axis_of_the_same_size,
    in_training_mode,
    before_the_convolution,
    transposed,
]


@pytest.mark.parametrize("build", NOT_FOLDED, ids=lambda build: build.__name__)
def test_norm_is_not_folded_where_that_is_inexact(build):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, build(inputs))
    assert applied(fold_batch_norm, model) is model


def test_only_foldable_norms_are_folded():
    inputs = keras.Input((8, 8, 3), dtype="float64")
    with_dtype = {"dtype": "float64"}
    x = layers.BatchNormalization(name="folded", **with_dtype)(conv(name="conv", **with_dtype)(inputs))
    x = layers.BatchNormalization(name="alone", **with_dtype)(x)
    y = conv(name="read_twice", **with_dtype)(x)
    x = layers.Add(**with_dtype)([layers.BatchNormalization(name="beside", **with_dtype)(y), y])
    model = keras.Model(inputs, x)
    x, expected = in_float64(model, (8, 8, 3))
    folded = applied(fold_batch_norm, model)
    assert norms(folded) == ["alone", "beside"]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(folded(x)), expected, rtol=1e-12, atol=1e-12)


def slicing(x):
    return x[:, ::2]


def arithmetic(x):
    return keras.ops.tanh(x) * 2.0 + 1.0


def lambda_layer(x):
    return layers.Lambda(lambda y: y * 2.0, name="doubled")(x)


@pytest.mark.parametrize("operation", [slicing, arithmetic, lambda_layer], ids=lambda f: f.__name__)
def test_networks_with_operations_and_lambdas_export(tmp_path, operation):
    image = keras.Input((8, 8, 3), name="image")
    x = operation(layers.BatchNormalization(name="bn")(conv(name="conv")(image)))
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="network")
    enliven(model, list(images(model, ("image",)).values()))
    assert to_saved_model(model, tmp_path / "model").parity.passed


@pytest.mark.parametrize("name", ["se_resnet", "se_mobilenet", "nested", "sequential", "sequence", "grouped"])
def test_every_norm_of_a_network_is_folded(name):
    network = sample(name)
    assert norms(network.model)
    folded = applied(fold_batch_norm, network.model)
    assert norms(folded) == []
    actual = folded.predict(network.data, verbose=0)
    (expected,) = network.expected.values()
    # In float32 the folded weights are rounded once more.
    assert np.abs(actual - expected).max() < 2e-6 * np.abs(expected).max()


def state(model):
    """What a rewrite could change of a model: weights, configuration, and who calls its layers."""
    nodes = [(layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in every_layer(model)]
    return json.dumps(model.get_config(), default=str, sort_keys=True), nodes, model.get_weights()


@pytest.mark.parametrize("name", EXPORTED)
def test_passes_do_not_change_the_model(name):
    network = sample(name)
    config, nodes, weights = state(network.model)
    folded = applied(fold_batch_norm, network.model)
    frozen, _ = frozen_gates(network.model, list(network.feeds.values()))
    del folded, frozen
    config_after, nodes_after, weights_after = state(network.model)
    assert config_after == config
    assert nodes_after == nodes
    for before, after in zip(weights, weights_after, strict=True):
        np.testing.assert_array_equal(before, after)


def frozen_gates(model, columns):
    graph = GraphEdits(model, columns).apply(freeze_gates)
    return graph.result(), [note.split()[3] for note in graph.notes]


def with_dead_gates(*names):
    """se_resnet with excitations whose hidden units are never positive, so that the gates are those of the bias."""
    model = se_resnet()
    model.set_weights(sample("se_resnet").model.get_weights())
    for name in names:
        bias = model.get_layer(name).reduce_bias
        bias.assign(np.full(bias.shape, -100.0))
    return model


def excitations(model):
    return [layer.name for layer in every_layer(model) if isinstance(layer, SqueezeExcite)]


def test_only_constant_gates_are_frozen():
    x, model = sample("se_resnet").data, with_dead_gates("stage1_block1_se")
    frozen, names = frozen_gates(model, [x])
    assert names == ["stage1_block1_se"]
    assert excitations(frozen) == ["stage2_block1_se"]
    bias = model.get_layer("stage1_block1_se").expand_bias.numpy().astype("float64")
    (gates,) = frozen.get_layer("stage1_block1_se").get_weights()
    np.testing.assert_allclose(gates, 1 / (1 + np.exp(-bias)), rtol=1e-6)
    np.testing.assert_allclose(frozen.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-7)


def test_varying_gates_are_not_frozen():
    network = sample("se_resnet")
    assert frozen_gates(network.model, [network.data]) == (network.model, [])


def test_constant_gates_of_nested_models_are_frozen():
    network = sample("nested")
    model = keras.models.clone_model(network.model)
    model.set_weights(network.model.get_weights())
    model.get_layer("backbone").get_layer("inner_se").reduce_bias.assign([-100.0, -100.0])
    frozen, names = frozen_gates(model, [network.data])
    assert names == ["inner_se"]
    assert excitations(frozen) == ["outer_se"]
    expected = model.predict(network.data, verbose=0)
    np.testing.assert_allclose(frozen.predict(network.data, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_frozen_gates_scale_the_channel_axis(rank, data_format):
    shape = (4, 5, 6, 3)[4 - rank + 1 :] if data_format == "channels_last" else (3, 4, 5, 6)[: rank - 1]
    layer = SqueezeExcite(1, data_format=data_format, name="se")
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    layer.reduce_bias.assign(np.full(3, -100.0))
    layer.expand_bias.assign([-2.0, 0.0, 2.0])
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    frozen, names = frozen_gates(model, [x])
    assert names == ["se"]
    np.testing.assert_allclose(frozen.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


def test_loaded_sequential_model_is_rewritten(tmp_path):
    """Keras calls its first layer for two graphs."""
    network = sample("sequential")
    network.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    folded = applied(fold_batch_norm, loaded)
    assert norms(loaded) == ["bn"]
    assert norms(folded) == []
    np.testing.assert_allclose(
        folded.predict(network.data, verbose=0), network.expected["logits"], rtol=1e-5, atol=1e-5
    )


def test_a_layer_that_another_model_has_too_is_rewritten():
    model = se_resnet()
    features = keras.Model(model.inputs, model.get_layer("stage1_block1_add").output)
    assert norms(applied(fold_batch_norm, model)) == []
    assert norms(applied(fold_batch_norm, features)) == []


def test_gates_of_a_loaded_sequential_model_are_frozen(tmp_path):
    image = keras.Input((4, 4, 8))
    model = keras.Sequential([image, SqueezeExcite(2, name="se"), layers.Conv2D(2, 1)])
    model.get_layer("se").reduce_bias.assign(np.full(4, -100.0))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 8)).astype("float32")
    _, names = frozen_gates(keras.saving.load_model(tmp_path / "model.keras"), [x])
    assert names == ["se"]
