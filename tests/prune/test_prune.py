"""SE taken out again: constant gates go into weights exactly, and the change of the outputs is what it says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite, insert_se, remove_se
from keras_se.export.passes.freeze_gates import freeze_gates
from keras_se.graph.rewrite import GraphEdits
from keras_se.layers import ChannelScale
from tests.support.arrays import array, error, randomise


def die(*blocks: Any, seed: int = 0) -> None:
    """Makes gates constant, and different from channel to channel: hidden units are never on."""
    rng = np.random.default_rng(seed)
    for block in blocks:
        block.reduce_kernel.assign(np.zeros(block.reduce_kernel.shape))
        block.reduce_bias.assign(np.full(block.reduce_bias.shape, -1.0))
        block.expand_bias.assign(rng.normal(size=block.expand_bias.shape))


def excitations(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, SqueezeExcite)]


def network(*parts: Any, shape: tuple = (8, 8, 3)) -> keras.Model:
    """A network in float64, in which a fold is exact to rounding, whose SE blocks are dead."""
    image = x = keras.Input(shape, name="image")
    for part in parts:
        x = part(x)
    model = keras.Model(image, x, name="model")
    randomise(model)
    die(*excitations(model))
    return model


def data(model: keras.Model, count: int = 11) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:]))


def se(name: str = "se", **options: Any) -> SqueezeExcite:
    return SqueezeExcite(2, name=name, **options)


@pytest.fixture
def float64() -> None:
    keras.config.set_dtype_policy("float64")


# What SE stands between, and the layer that takes its gates; `None` if a ChannelScale stays.
FOLDS: dict[str, tuple[Callable[[], list[Any]], str | None]] = {
    "conv": (lambda: [layers.Conv2D(4, 3, name="conv"), se(), layers.ReLU()], "conv"),
    "conv without bias": (lambda: [layers.Conv2D(4, 3, use_bias=False, name="conv"), se()], "conv"),
    "grouped conv": (lambda: [layers.Conv2D(6, 3, groups=3, name="conv"), se()], "conv"),
    "depthwise": (lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv"), se(), layers.ReLU()], "conv"),
    "dense": (lambda: [layers.Dense(6, name="dense"), se(), layers.ReLU()], "dense"),
    "batch norm": (lambda: [layers.BatchNormalization(name="bn"), se(), layers.ReLU()], "bn"),
    "into what follows": (lambda: [layers.ReLU(), se(), layers.Conv2D(4, 3, activation="relu", name="conv")], "conv"),
    "into a depthwise one": (lambda: [layers.ReLU(), se(), layers.DepthwiseConv2D(3, name="conv")], "conv"),
    "through a padding": (
        lambda: [layers.ReLU(), se(), layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2, name="conv")],
        "conv",
    ),
    "through pooling": (lambda: [layers.ReLU(), se(), layers.GlobalAveragePooling2D(), layers.Dense(4, name="d")], "d"),
    "norm without scale": (
        lambda: [layers.BatchNormalization(scale=False), se(), layers.Conv2D(4, 1, name="conv")],
        "conv",
    ),
    "activated": (lambda: [layers.Conv2D(4, 3, activation="relu"), se(), layers.ReLU()], None),
    "into a grouped one": (lambda: [layers.ReLU(), se(), layers.Conv2D(6, 3, groups=3)], None),
    "at the end": (lambda: [layers.ReLU(), se()], None),
    "max-pooling": (lambda: [layers.ReLU(), se(), layers.MaxPooling2D(2), layers.Conv2D(4, 1)], None),
    "another norm's axis": (lambda: [layers.BatchNormalization(axis=1), se(), layers.ReLU()], None),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", FOLDS)
def test_constant_gates_are_folded_exactly(name: str) -> None:
    parts, taker = FOLDS[name]
    model = network(*parts())
    x = data(model)
    removal = remove_se(model, x)
    assert removal.folded == ({} if taker is None else {"se": taker})
    assert removal.scaled == (() if taker else ("se",))
    assert (removal.kept, removal.dropped) == ((), ())
    assert not excitations(removal.model)
    assert len([layer for layer in removal.model.layers if isinstance(layer, ChannelScale)]) == (taker is None)
    expected, actual = model.predict(x, verbose=0), removal.model.predict(x, verbose=0)
    assert error(actual, expected) < 1e-14
    assert removal.max_abs < 1e-13
    # The gates are no ones: without them the outputs are others.
    assert error(remove_se(model, drop="se").model.predict(x, verbose=0), expected) > 1e-2


@pytest.mark.usefixtures("float64")
def test_two_blocks_share_a_layer() -> None:
    """The one in front goes into the convolution's inputs, the one behind into its outputs."""
    model = network(layers.ReLU(), se("first"), layers.Conv2D(4, 3, name="conv"), se("second"), layers.ReLU())
    removal = remove_se(model, data(model))
    assert removal.folded == {"first": "conv", "second": "conv"}
    assert removal.max_abs < 1e-13


def test_gates_that_vary_are_kept() -> None:
    model = network(layers.Conv2D(4, 3), se("dead"), layers.ReLU(), se("live"), layers.ReLU())
    randomise(model.get_layer("live"), seed=3)
    model.get_layer("live").reduce_bias.assign(np.ones(2))
    x = data(model)
    removal = remove_se(model, x)
    assert (list(removal.folded), removal.kept) == (["dead"], ("live",))
    assert removal.max_abs < 1e-5
    # As far as one lets them vary, they are constants, and the change says what that costs.
    spread = np.ptp(array(model.get_layer("live").excitation(keras.Model(model.input, model.layers[3].output)(x))), 0)
    loose = remove_se(model, x, tolerance=min(1.0, 1.01 * spread.max()))
    assert loose.kept == ()
    expected, actual = array(model(x)), array(loose.model(x))
    assert loose.max_abs == pytest.approx(np.abs(actual - expected).max(), rel=1e-4)
    rms = np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2))
    assert loose.relative_rms == pytest.approx(rms, rel=1e-4)
    assert loose.relative_rms > 1e-3
    assert remove_se(model, x, tolerance=0.99 * spread.max()).kept == ("live",)


def test_a_layer_that_others_read_is_left_alone() -> None:
    image = keras.Input((8, 8, 4))
    y = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    model = keras.Model(image, layers.Add()([y, layers.ReLU()(se()(y))]))
    randomise(model)
    die(*excitations(model))
    removal = remove_se(model, data(model))
    assert removal.scaled == ("se",)
    assert removal.max_abs < 1e-5
    # And what the model returns.
    model = keras.Model(image, [y, model.get_layer("se").output])
    assert remove_se(model, data(model)).scaled == ("se",)


@pytest.mark.parametrize("change", [lambda layer: layer.quantize("int8"), lambda layer: layer.enable_lora(2)])
def test_a_layer_whose_kernel_is_not_all_is_left_alone(change: Callable[[Any], None]) -> None:
    for parts in ([layers.Dense(4, name="d"), se()], [se(), layers.Dense(4, name="d")]):
        model = network(*parts)
        change(model.get_layer("d"))
        removal = remove_se(model, data(model))
        assert (removal.folded, removal.scaled) == ({}, ("se",))
        assert removal.max_abs < 1e-5


def test_blocks_are_dropped_by_name() -> None:
    model = network(layers.Conv2D(4, 3, name="conv"), se("one"), layers.ReLU(), se("two"), layers.Conv2D(4, 1))
    x = data(model)
    for drop in (["one", "two"], "one|two"):
        removal = remove_se(model, x, drop=drop)
        assert (removal.dropped, removal.folded, removal.kept) == (("one", "two"), {}, ())
        plain = array(x)
        for layer in model.layers[1:]:
            plain = plain if isinstance(layer, SqueezeExcite) else layer(plain)
        assert error(array(removal.model(x)), array(plain)) < 1e-5
        assert removal.max_abs == pytest.approx(np.abs(array(model(x)) - array(plain)).max(), rel=1e-4)
    alone = remove_se(model, drop=["two"])
    assert (alone.dropped, alone.kept, alone.max_abs, alone.relative_rms) == (("two",), ("one",), None, None)


def test_models_within_and_several_inputs() -> None:
    inner_input = keras.Input((8, 8, 3))
    inner = keras.Model(inner_input, layers.ReLU()(se()(layers.Conv2D(4, 3, name="conv")(inner_input))), name="inner")
    image, other = keras.Input((8, 8, 3), name="b"), keras.Input((6, 6, 4), name="a")
    model = keras.Model({"b": image, "a": other}, layers.Add()([inner(2 * image), other]))
    randomise(model)
    die(*excitations(model))
    rng = np.random.default_rng(0)
    removal = remove_se(model, {"b": rng.normal(size=(9, 8, 8, 3)), "a": rng.normal(size=(9, 6, 6, 4))})
    assert removal.folded == {"inner/se": "inner/conv"}
    assert removal.max_abs < 1e-5
    assert remove_se(model, drop=["se"]).dropped == ("inner/se",)


@pytest.mark.parametrize("named", [False, True])
def test_arrays_are_of_the_inputs_that_they_are_named_after(named: bool) -> None:
    """One input is the same for every sample, and the gates are made of it, whatever the order of names."""
    first, second = keras.Input((4, 4, 2), name="z"), keras.Input((4, 4, 2), name="a")
    x = se()(layers.Conv2D(2, 1, name="conv")(first))
    model = keras.Model([first, second], layers.Subtract()([x, second]))
    randomise(model)
    model.get_layer("se").reduce_bias.assign([1.0])
    same, other = np.ones((4, 4, 4, 2)), np.random.default_rng(0).normal(size=(4, 4, 4, 2))
    removal = remove_se(model, {"a": other, "z": same} if named else [same, other])
    assert removal.folded == {"se": "conv"}
    assert remove_se(model, {"a": same, "z": other} if named else [other, same]).kept == ("se",)


def masked() -> keras.Model:
    given, inside = keras.Input((6, 4)), keras.Input((6, 4))
    inner = keras.Model(inside, layers.ReLU()(se()(layers.Conv1D(4, 1, name="conv")(inside))), name="inner")
    model = keras.Model(given, layers.GlobalAveragePooling1D()(inner(layers.Masking()(given))))
    randomise(model)
    die(inner.get_layer("se"))
    return model


@pytest.mark.filterwarnings(r"ignore:[\s\S]*does not support masking:UserWarning")
def test_a_model_within_that_gets_a_mask_is_left_alone() -> None:
    model = masked()
    x = data(model).astype("float32")
    x[:, 3:] = 0
    removal = remove_se(model, x)
    assert (removal.kept, removal.max_abs) == (("inner/se",), 0)
    assert GraphEdits(model, [x]).apply(freeze_gates).result() is model


def test_a_block_with_a_layer_inside_becomes_a_scale() -> None:
    model = network(layers.ReLU(), se(activation=layers.PReLU()), layers.ReLU())
    model.get_layer("se").expand_kernel.assign(np.zeros((1, 3)))
    model.get_layer("se").trainable = False
    removal = remove_se(model, data(model))
    assert removal.scaled == ("se",)
    assert removal.max_abs < 1e-5
    assert not removal.model.get_layer("se").trainable


@pytest.mark.usefixtures("float64")
def test_the_change_is_told_in_the_precision_of_the_model() -> None:
    model = network(layers.Conv2D(4, 3, name="conv"), se(), layers.ReLU())
    model.get_layer("se").expand_bias.assign(np.full(4, 23.0))  # gates of 1 - 1e-10
    change = remove_se(model, data(model), drop="se").max_abs
    assert 1e-11 < change < 1e-8


def test_a_change_that_is_no_number_is_told() -> None:
    model = network(layers.Conv2D(4, 3, name="conv"), se(), layers.ReLU())
    model.get_layer("conv").bias.assign(np.full(4, np.nan))
    removal = remove_se(model, data(model), drop="se")
    assert np.isnan(removal.max_abs)
    assert np.isnan(removal.relative_rms)


def test_what_was_inserted_comes_out_again() -> None:
    """SE that changes nothing yet has gates of 1: the weights are the old ones, to the bit."""
    model = network(layers.Conv2D(4, 3, name="conv"), layers.ReLU(), layers.Conv2D(4, 3, name="conv2"))
    model = keras.Model(model.inputs, layers.ReLU(name="last")(model.output))
    removal = remove_se(insert_se(model, ["conv", "conv2", "last"], r=2), data(model))
    assert (removal.ones, removal.folded, removal.scaled) == (("conv_se", "conv2_se", "last_se"), {}, ())
    assert [layer.name for layer in removal.model.layers] == [layer.name for layer in model.layers]
    for weight, old in zip(removal.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(array(weight), array(old))


def test_the_new_model(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            *(keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="conv"), se(), layers.ReLU()),
            ConcurrentSqueezeExcite(2, name="both"),
        ],
        name="model",
    )
    randomise(model)
    die(model.get_layer("se"))
    model.get_layer("conv").trainable = False
    x, before = data(model), [array(weight) for weight in model.weights]
    removal = remove_se(model, x)
    assert (removal.scaled, removal.kept) == (("se",), ("both",))
    assert not removal.model.get_layer("conv").trainable
    removal.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(x)), array(removal.model(x)))
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)
    document = json.loads(json.dumps(removal.to_dict()))
    assert document == {
        **{"model": "model", "folded": {}, "scaled": ["se"], "ones": [], "dropped": [], "kept": ["both"]},
        **{"max_abs": removal.max_abs, "relative_rms": removal.relative_rms},
    }


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="it has no such convolutions on CPUs")
def test_channels_first() -> None:
    options = {"data_format": "channels_first"}
    parts = [layers.Conv2D(4, 3, name="conv", **options), se(**options), layers.ReLU()]
    model = network(*parts, shape=(3, 8, 8))
    removal = remove_se(model, data(model))
    assert removal.folded == {"se": "conv"}
    assert removal.max_abs < 1e-5


class NoConfig(layers.Layer):
    def __init__(self, factor: int):
        super().__init__(name="no_config")
        self.factor = factor

    def call(self, x: Any) -> Any:
        return x * self.factor


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, r"^remove_se requires data or drop\. Received: neither$"),
    ({"drop": "so"}, r"^drop must match SE blocks .* The nearest are se\. Received: 'so'$"),
    ({"drop": ["se", "conv"]}, r"^drop must match SE blocks .* Received: 'conv'$"),
    ({"drop": "("}, r"^drop must be a regular expression\. Received: '\(' \(.*\)$"),
    ({"data": np.zeros((2, 8, 8))}, r"^data must have the shape \(samples, 8, 8, 3\) .* Received: \(2, 8, 8\)$"),
    ({"data": np.zeros((0, 8, 8, 3))}, r"^data must have the same number of samples, at least one"),
    ({"data": [np.zeros((2, 8, 8, 3))] * 2}, r"^data must have the shape .* Received: \(2, 2, 8, 8, 3\)$"),
    ({"data": np.zeros((2, 8, 8, 3)), "tolerance": 0}, r"^tolerance must be above 0 .* Received: tolerance=0$"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    model = network(layers.Conv2D(4, 3, name="conv"), se())
    with pytest.raises(ValueError, match=message):
        remove_se(model, **arguments)


def test_refuses_models_without_a_graph_or_configuration() -> None:
    with pytest.raises(ValueError, match=r"^remove_se requires a model .* Received: 'open', a Sequential$"):
        remove_se(keras.Sequential([layers.Dense(3)], name="open"), drop="se")
    own_call = type("Own", (keras.Model,), {"call": lambda self, x, training=None, mask=None: x})
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"^remove_se requires a model .* Received: 'own', a Own$"):
        remove_se(own_call(image, se()(image), name="own"), drop="se")
    with pytest.raises(ValueError, match=r"^The layers of the model must have .* 'no_config', which cannot be copied$"):
        remove_se(network(layers.Conv2D(4, 3), se(), NoConfig(2)), drop="se")
