"""SE in models of all kinds: where it goes, and what it leaves as it was."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_se import SpatialSqueezeExcite, SqueezeExcite, insert_se, insertion_plan, remove_se
from keras_se.layers import twice_sigmoid
from keras_se.weights import Preprocessing
from tests.support.arrays import array, error, randomise
from tests.support.cases import case
from tests.support.networks import families
from tests.support.networks.toys import (
    TOLERANCE,
    TOYS,
    assert_same,
    head,
    inserted,
    nested_model,
    noise,
    outputs,
    places,
    toy_inverted,
    toy_resnet,
    toy_vgg,
)

# Where


@pytest.mark.parametrize("name", TOYS)
def test_se_is_placed_after_the_expected_layers(name: str) -> None:
    assert places(TOYS[name].build()) == list(TOYS[name].se_after)


@pytest.mark.parametrize("name", TOYS)
def test_inserted_se_changes_nothing_and_learns(name: str, tmp_path: Path) -> None:
    model = TOYS[name].build()
    randomise(model)
    excited = insert_se(model, r=2)
    assert [layer.name for layer in inserted(excited)] == [f"{place}_se" for place in TOYS[name].se_after]
    assert_same(model, excited)
    for layer in inserted(excited):  # hidden units are on: those that are not have no gradients
        layer.reduce_bias.assign(layer.reduce_bias + 5)
    before = [array(weight) for weight in excited.weights]
    excited.compile(keras.optimizers.SGD(0.1), "mse")
    excited.train_on_batch(noise(model), np.ones((4, *excited.output_shape[1:])))
    moved = {
        weight.path: not np.array_equal(array(weight), old) for weight, old in zip(excited.weights, before, strict=True)
    }
    for place in TOYS[name].se_after:
        assert moved[f"{place}_se/expand_kernel"]
        assert moved[f"{place}_se/expand_bias"]
    if name != "operations":  # which has a layer that is not registered
        excited.save(tmp_path / "model.keras")
        assert_same(excited, keras.saving.load_model(tmp_path / "model.keras"), 1e-7)


# Those with SE where the paper has it; the others have more places, or others, than `auto` chooses.
@pytest.mark.parametrize("build", [toy_resnet, toy_inverted])
def test_both_projections_learn_from_where_they_begin(build: Callable[[], keras.Model]) -> None:
    """Hidden units that are off have no gradient: a block in which all are stays, but for its last biases."""
    model = build()
    randomise(model)
    excited = insert_se(model, r=2)
    blocks = inserted(excited)
    before = [array(block.reduce_kernel) for block in blocks]
    excited.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    x = noise(model, 8)
    excited.train_on_batch(x, np.zeros(excited(x).shape))
    assert all(np.any(array(block.expand_bias)) for block in blocks)
    excited.train_on_batch(x, np.zeros(excited(x).shape))
    moved = [np.any(array(block.reduce_kernel) != kernel) for block, kernel in zip(blocks, before, strict=True)]
    assert len(moved) > 1
    assert np.mean(moved) > 0.5


FAMILIES = [name for name in families.NARROW if name not in ("vgg", "mobilenet_v3", "shufflenet")]


@pytest.mark.parametrize("name", FAMILIES)
def test_places_are_those_of_the_networks_here(name: str) -> None:
    """The plain network gets SE where the same builder puts it: behind the same layers."""
    row = families.NARROW[name]
    blocks = [layer for layer in row.build().layers if isinstance(layer, SqueezeExcite)]
    before = [block._inbound_nodes[0].input_tensors[0]._keras_history.operation.name for block in blocks]
    assert before
    assert sorted(places(row.build(r=None))) == sorted(before)


def test_where() -> None:
    model = toy_resnet()
    assert places(model, "(one|two)_a_relu") == ["one_a_relu", "two_a_relu"]
    assert places(model, ["two_out", "one_out"]) == ["one_out", "two_out"]
    assert places(model, ("stem_bn",)) == ["stem_bn"]
    assert places(model, lambda layer: isinstance(layer, layers.Add)) == ["one_add", "two_add"]


def test_the_rescaled_output_is_what_all_readers_get() -> None:
    model = toy_resnet()
    randomise(model)
    excited = insert_se(model, ["one_out"], r=2, identity=False)
    block = excited.get_layer("one_out_se")
    assert {node.operation.name for node in block._outbound_nodes} == {"two_a_conv", "two_short_conv"}
    # By hand: the first half of the network, SE, the second half.
    x = noise(model)
    first = keras.Model(model.input, model.get_layer("one_out").output)
    given = keras.Input(first.output_shape[1:])
    y = layers.Add()([model.get_layer("two_short_bn")(model.get_layer("two_short_conv")(given)), branch(model, given)])
    y = model.get_layer("logits")(model.get_layer("logits_pool")(model.get_layer("two_out")(y)))
    expected = keras.Model(given, y)(block(first(x)))
    assert error(array(excited(x)), array(expected)) < TOLERANCE
    assert error(array(model(x)), array(expected)) > 1e-2


def branch(model: keras.Model, x: Any) -> Any:
    for name in ("two_a_conv", "two_a_bn", "two_a_relu", "two_b_conv", "two_b_bn"):
        x = model.get_layer(name)(x)
    return x


def test_layers_that_are_made() -> None:
    model = toy_resnet()
    start, plain = inserted(insert_se(model, r=4))[0], inserted(insert_se(model, r=4, identity=False))[0]
    assert (start.r, start.gate) == (4, twice_sigmoid)
    assert (plain.r, plain.gate) == (4, keras.activations.sigmoid)
    assert not np.any(array(start.expand_kernel))
    assert np.any(array(start.reduce_kernel))
    assert np.any(array(plain.expand_kernel))
    assert "zeros" not in str(start.get_config()["kernel_initializer"]).lower()


def test_layers_of_a_function() -> None:
    model, seen = toy_resnet(), []

    def se(path: str) -> keras.layers.Layer | None:
        seen.append(path)
        return SpatialSqueezeExcite() if path.startswith("two") else None

    excited = insert_se(model, se=se)
    assert seen == ["one_b_bn", "two_b_bn"]
    assert [layer.name for layer in excited.layers if isinstance(layer, SpatialSqueezeExcite)] == ["two_b_bn_se"]


def test_names_are_free() -> None:
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.ReLU(name="conv_se")(x)
    excited = insert_se(keras.Model(image, x), ["conv", "conv_se"], r=2)
    assert [layer.name for layer in inserted(excited)] == ["conv_se_1", "conv_se_se"]


# What models there are


def two_inputs() -> keras.Model:
    image, other = keras.Input((8, 8, 3), name="z"), keras.Input((8, 8, 3), name="a")
    shared = layers.Conv2D(4, 3, name="shared")
    a, b = shared(image), shared(other)
    x = layers.Concatenate(name="both")([a, b])
    return keras.Model({"z": image, "a": other}, {"map": x, "label": head(x)}, name="two_inputs")


def test_several_inputs_and_outputs() -> None:
    model = two_inputs()
    randomise(model)
    excited = insert_se(model, ["both"], r=2)
    z, a = (np.random.default_rng(i).normal(size=(2, 8, 8, 3)).astype("float32") for i in range(2))
    expected, actual = model({"z": z, "a": a}), excited({"z": z, "a": a})
    assert set(actual) == {"map", "label"}
    for name in actual:
        assert error(array(actual[name]), array(expected[name])) < TOLERANCE
    assert [x.name for x in excited.inputs] == [x.name for x in model.inputs]


def test_a_shared_layer_gets_one_se_for_all_calls() -> None:
    model = two_inputs()
    randomise(model)
    plan = insertion_plan(model, ["shared"], r=2)
    assert [row.layer for row in plan.rows] == ["shared"]
    excited = insert_se(model, ["shared"], r=2, identity=False)
    (block,) = inserted(excited)
    assert len(block._inbound_nodes) == 2
    z, a = (np.random.default_rng(i).normal(size=(2, 8, 8, 3)).astype("float32") for i in range(2))
    shared = model.get_layer("shared")
    expected = np.concatenate([array(block(shared(x))) for x in (z, a)], axis=-1)
    actual = {key: array(value) for key, value in excited({"z": z, "a": a}).items()}
    assert error(actual["map"], expected) < TOLERANCE
    assert excited.count_params() - model.count_params() == plan.parameters


def test_one_relu_object_is_many_places() -> None:
    relu = layers.ReLU(name="relu")
    image = keras.Input((8, 8, 3))
    x = relu(layers.Conv2D(4, 3, padding="same", name="conv1")(image))
    x = layers.MaxPooling2D(2)(x)
    x = relu(layers.Conv2D(6, 3, padding="same", name="conv2")(x))
    model = keras.Model(image, head(x))
    randomise(model)
    plan = insertion_plan(model, r=2)
    assert [(row.layer, row.name, row.channels) for row in plan.rows] == [
        ("relu", "relu_se", 4),
        ("relu", "relu_se_1", 6),
    ]
    excited = insert_se(model, r=2)
    assert [layer.input.shape[-1] for layer in inserted(excited)] == [4, 6]
    assert_same(model, excited)


def test_shared_over_several_widths_is_refused() -> None:
    scaled = Anything(name="any")
    x, y = keras.Input((8, 8, 4)), keras.Input((8, 8, 6))
    model = keras.Model([x, y], [scaled(x), scaled(y)])
    with pytest.raises(
        ValueError, match=r"^A layer that is called several times .* Received: 'any', .* [46] and [46] chan"
    ):
        insert_se(model, ["any"])


class Anything(layers.Layer):
    """One weight, for inputs of any width."""

    def build(self, shape: tuple) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x: Any) -> Any:
        return self.scale * x


def test_models_within() -> None:
    model = nested_model()
    randomise(model)
    assert places(model) == ["backbone/one_b_bn", "backbone/two_b_bn"]
    assert places(model, "backbone/.*_add") == ["backbone/one_add", "backbone/two_add"]
    assert places(model, ["relu"]) == ["tail/relu"]
    excited = insert_se(model, ".*_b_bn|tail/conv", r=2)
    assert {layer.name for layer in inserted(excited)} == {"one_b_bn_se", "two_b_bn_se", "conv_se"}
    assert excited.get_layer("backbone").get_layer("one_b_bn_se").gate is twice_sigmoid
    assert not any(np.any(array(layer.expand_kernel)) for layer in inserted(excited))
    assert_same(model, excited)
    # The call keeps its arguments, and batch norms within do what they did.
    for network in (model, excited):
        network(noise(model), training=True)
    moved = [array(network.get_layer("backbone").get_layer("stem_bn").moving_mean) for network in (model, excited)]
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-5)


def test_a_model_that_is_called_twice_has_one_se_at_a_place() -> None:
    parts = [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu")]
    tower = keras.Sequential(parts, name="tower")
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    model = keras.Model([one, two], layers.Subtract()([tower(one), tower(two)]))
    randomise(model)
    for where, name in ((["conv"], "conv_se"), (["relu"], "relu_se")):
        excited = insert_se(model, where, r=2)
        assert [layer.name for layer in inserted(excited)] == [name]
        assert_same(model, excited)


@pytest.mark.parametrize(("shape", "kind"), [((None, 3), layers.Conv1D), ((4, 4, 4, 3), layers.Conv3D)])
def test_sequences_and_volumes(shape: tuple, kind: Any) -> None:
    model = keras.Sequential([keras.Input(shape), kind(8, 2, name="conv")])
    randomise(model)
    (row,) = insertion_plan(model, ["conv"], r=2).rows
    assert (row.channels, row.parameters) == (8, 2 * 8 * 4 + 4 + 8)
    # 64 of the projections, and each of 27 positions times 8 gates.
    assert row.macs == (None if None in shape else 64 + 27 * 8)
    assert_same(model, insert_se(model, ["conv"], r=2))


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="it has none of channels first on CPUs")
def test_channels_first_computes_the_same() -> None:
    model = channels_first()
    randomise(model)
    assert_same(model, insert_se(model, r=2))


def channels_first() -> keras.Model:
    image = keras.Input((3, 8, 10))
    y = layers.Conv2D(6, 3, padding="same", data_format="channels_first", name="conv1")(image)
    z = layers.ReLU(name="relu")(layers.BatchNormalization(axis=1, name="bn")(y))
    z = layers.Conv2D(6, 3, padding="same", data_format="channels_first", name="conv2")(z)
    z = layers.BatchNormalization(axis=1, name="bn2")(z)
    return keras.Model(image, layers.Add(name="add")([y, z]), name="first")


def test_channels_first() -> None:
    """Keras' setting is channels last, the model's layers are not."""
    model = channels_first()
    (row,) = insertion_plan(model, r=2).rows
    assert (row.layer, row.channels, row.shape) == ("bn2", 6, (6, 8, 10))
    (block,) = inserted(insert_se(model, r=2))
    assert block.data_format == "channels_first"
    assert block.expand_kernel.shape == (3, 6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_precision_is_the_layers(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = toy_resnet()
    keras.config.set_dtype_policy("float32")
    randomise(model)
    excited = insert_se(model, r=2)
    assert {layer.dtype_policy.name for layer in inserted(excited)} == {policy}
    assert {layer.compute_dtype for layer in inserted(excited)} == {model.get_layer("one_b_bn").compute_dtype}
    for expected, actual in zip(outputs(model, noise(model)), outputs(excited, noise(model)), strict=True):
        np.testing.assert_array_equal(actual, expected)  # times 1 is exact in any precision


def test_what_is_frozen_stays_frozen() -> None:
    model = nested_model()
    model.get_layer("backbone").trainable = False
    model.get_layer("backbone").get_layer("stem_conv").trainable = True
    model.get_layer("logits").trainable = False
    assert len(model.trainable_weights) == 3
    excited = insert_se(model, r=2)
    names = {weight.path.split("/")[-2] for weight in excited.trainable_weights}
    assert names == {"stem_conv", "conv", "one_b_bn_se", "two_b_bn_se"}
    model.trainable = False
    assert {weight.path.split("/")[-2] for weight in insert_se(model, r=2).trainable_weights} == {
        *("one_b_bn_se", "two_b_bn_se")
    }


def test_a_compiled_model_gives_one_that_is_not() -> None:
    model = toy_resnet()
    model.compile(loss=lambda y, z: ops.mean(ops.square(y - z)))  # which has no name to find it by
    assert not insert_se(model, r=2).compiled


def test_how_images_are_prepared_is_kept() -> None:
    model = toy_resnet()
    model.preprocessing = Preprocessing(size=(16, 16))
    assert insert_se(model, r=2).preprocessing == model.preprocessing


def words(**options: Any) -> tuple[keras.layers.Layer, Any]:
    layer = layers.StringLookup(**options)
    layer.adapt(np.array([["owl", "cat"], ["cat", "dog"]]))
    return layer, ops.convert_to_tensor([["dog", "cat", "elk"]])


def numbers() -> tuple[keras.layers.Layer, Any]:
    layer = layers.IntegerLookup()
    layer.adapt(np.array([[7, 9], [9, 11]]))
    return layer, np.array([[11, 9, 5]])


def texts() -> tuple[keras.layers.Layer, Any]:
    layer = layers.TextVectorization(output_sequence_length=3)
    layer.adapt(["an owl", "the cat"])
    return layer, ops.convert_to_tensor([["the owl sleeps"]])


def bins() -> tuple[keras.layers.Layer, Any]:
    layer = layers.Discretization(num_bins=4)
    layer.adapt(np.random.default_rng(0).normal(size=(50, 1)))
    return layer, np.array([[-2.0, 0.1, 2.0]], "float32")


def normal() -> tuple[keras.layers.Layer, Any]:
    layer = layers.Normalization(axis=None)
    layer.adapt(np.random.default_rng(0).normal(5, 3, size=50))
    return layer, np.array([[-2.0, 0.1, 2.0]], "float32")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="lookups in a model are TensorFlow's")
@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize(
    "make", [words, lambda: words(output_mode="tf_idf"), numbers, texts, bins, normal],
    ids=["words", "tf_idf", "numbers", "texts", "bins", "normal"],
)  # fmt: skip
def test_what_layers_were_adapted_to_is_copied(make: Callable[[], Any], saved: bool, tmp_path: Path) -> None:
    adapted, x = make()
    given = keras.Input(x.shape[1:], dtype=keras.backend.standardize_dtype(x.dtype))
    y = layers.Rescaling(0.1)(adapted(given))
    y = layers.Conv1D(4, 1, name="conv")(layers.Reshape((-1, 1))(y))
    model = keras.Model(given, y)
    randomise(model.get_layer("conv"))
    if saved:
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    expected = array(model(x))
    assert np.ptp(expected[0, :, 0]) > 0
    for copy in (insert_se(model, ["conv"], r=2), remove_se(insert_se(model, ["conv"], r=2), drop=["conv_se"]).model):
        np.testing.assert_allclose(array(copy(x)), expected, atol=1e-6)


def test_lambdas_are_copied_with_what_they_see() -> None:
    factor = keras.Variable(3.0)

    def twice(x: Any, offset: float) -> Any:
        return 2 * x + offset

    inside = keras.Input((8, 8, 3))
    inner = keras.Model(inside, layers.Lambda(lambda x: factor * x, output_shape=(8, 8, 3))(inside), name="inner")
    image = keras.Input((8, 8, 3))
    x = layers.Lambda(twice, arguments={"offset": 0.5}, name="twice")(inner(image))
    model = keras.Model(image, layers.Conv2D(4, 3, name="conv")(x))
    randomise(model)
    excited = insert_se(model, ["conv"], r=2)
    assert_same(model, excited)
    assert_same(model, remove_se(excited, drop="conv_se").model)
    assert excited.get_layer("inner") is not inner
    within = keras.Model(image, layers.TimeDistributed(layers.Lambda(lambda x: 2 * x), name="timed")(image))
    with pytest.raises(ValueError, match=r"register_keras_serializable\)\. Received: 'timed', which cannot be copied$"):
        insert_se(within, ["timed"])


def graph(model: keras.Model) -> list[tuple]:
    return [
        (id(layer), layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes))
        for layer in model._flatten_layers()
    ]


@pytest.mark.parametrize("build", [toy_resnet, toy_vgg, nested_model, two_inputs])
def test_the_model_is_left_as_it_was(build: Callable[[], keras.Model]) -> None:
    model = build()
    randomise(model)
    before, config, weights = graph(model), json.dumps(model.get_config()), [array(w) for w in model.weights]
    where = "auto" if build is not two_inputs else ["shared"]
    insertion_plan(model, where)
    excited = insert_se(model, where)
    for weight in excited.weights:
        weight.assign(weight + 1)
    assert graph(model) == before
    assert json.dumps(model.get_config()) == config
    for weight, old in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(array(weight), old)
    theirs = {id(layer) for layer in excited._flatten_layers()}
    assert not theirs & {id(layer) for layer in model._flatten_layers()}


def test_operations_with_arguments() -> None:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = ops.concatenate([x[:, ::2], 2 * x[:, 1::2] + 1], axis=-1)
    model = keras.Model(image, ops.mean(x, axis=(1, 2)))
    randomise(model)
    assert_same(model, insert_se(model, ["conv"], r=2))


# The plan


def test_the_plan_says_what_is_done() -> None:
    model = toy_resnet()
    plan = insertion_plan(model, r=2)
    excited = insert_se(model, r=2)
    assert plan.parameters == excited.count_params() - model.count_params()
    document = json.loads(json.dumps(plan.to_dict()))
    assert document["rows"][0] == {
        **{"layer": "one_b_bn", "name": "one_b_bn_se", "channels": 8, "shape": [16, 16, 8]},
        **{"parameters": 2 * 8 * 4 + 4 + 8, "macs": 2 * 8 * 4 + 16 * 16 * 8},
    }
    assert document["macs"] == plan.macs == sum(row["macs"] for row in document["rows"])
    assert [row["name"] for row in document["rows"]] == [layer.name for layer in inserted(excited)]
    table = plan.table()
    assert table.row_count == 2
    assert table.columns[3].footer == f"{plan.parameters:,}"


# The other backend


@pytest.mark.programs
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="one run starts the other backend")
@pytest.mark.parametrize(
    "chosen",
    ["test_channels_first", case("changes_nothing and resnet", slow=True)],
)
def test_insertion_works_on_jax(chosen: str) -> None:
    """Some of the same tests on JAX, in a process of its own. JAX compiles for long."""
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([*program, "-k", chosen], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
