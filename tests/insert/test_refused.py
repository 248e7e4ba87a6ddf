"""SE in models: what is refused, and what only looks as if it had to be."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_se import SqueezeExcite, insert_se, remove_se
from tests.support.arrays import randomise
from tests.support.networks.toys import assert_same, nested_model, places, toy_resnet


def subclassed() -> keras.Model:
    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="mine")
            self.conv = layers.Conv2D(4, 3, name="conv")

        def call(self, x: Any) -> Any:
            return self.conv(x)

    model = Mine()
    model(np.zeros((1, 8, 8, 3), "float32"))
    return model


class Doubled(keras.Model):
    """A functional model that computes something else than its graph."""

    def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
        return 2 * super().call(x, training=training)


def doubled(name: str = "doubled") -> keras.Model:
    image = keras.Input((8, 8, 3))
    return Doubled(image, layers.Conv2D(4, 3, name="inside")(image), name=name)


def around_doubled() -> keras.Model:
    image = keras.Input((8, 8, 3))
    return keras.Model(image, layers.Conv2D(4, 1, name="conv")(doubled()(image)))


class NoConfig(layers.Layer):
    def __init__(self, kernel: int):
        super().__init__(name="no_config")
        self.kernel = kernel

    def call(self, x: Any) -> Any:
        return x * self.kernel


def uncopiable() -> keras.Model:
    image = keras.Input((8, 8, 3))
    return keras.Model(image, NoConfig(2)(layers.Conv2D(4, 3, name="conv")(image)))


def sharing() -> keras.Model:
    inner = toy_resnet()
    image = keras.Input((16, 16, 3))
    return keras.Model(image, [inner.get_layer("stem_conv")(image), inner(image)], name="sharing")


def squeezed(x: Any) -> Any:
    """SE as people write it."""
    gates = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gates = layers.Conv2D(1, 1, activation="relu")(gates)
    return layers.Multiply(name="product")([x, layers.Conv2D(4, 1, activation="sigmoid")(gates)])


def with_se(make: Callable[[Any], Any]) -> keras.Model:
    image = keras.Input((8, 8, 4))
    x = layers.ReLU(name="relu")(layers.Conv2D(4, 3, name="conv")(image))
    return keras.Model(image, make(x))


def in_operations(x: Any) -> Any:
    gates = layers.Dense(4, activation="sigmoid")(layers.Dense(2, activation="relu")(ops.mean(x, axis=(1, 2))))
    return x * layers.Reshape((1, 1, 4))(gates)


REFUSED = [
    (toy_resnet, {"where": "one_c"}, r"^where must match .* The nearest are one_\w+, .*\. Received: 'one_c'$"),
    (toy_resnet, {"where": ["one_a_relu", "tow_a_relu"]}, r"The nearest are two_a_relu, .*Received: 'tow_a_relu'$"),
    (toy_resnet, {"where": ["image"]}, r"not its inputs or nested models"),
    (nested_model, {"where": ["backbone"]}, r"not its inputs or nested models"),
    (toy_resnet, {"where": "("}, r"^where must be a regular expression\. Received: '\(' \(.*\)$"),
    (toy_resnet, {"where": lambda layer: False}, r"^where must be true for at least one layer\. Received: <func"),
    (toy_resnet, {"where": []}, r'^where must be "auto", .* Received: where=\[\]$'),
    (toy_resnet, {"where": 3}, r'^where must be "auto", .* Received: where=3$'),
    (toy_resnet, {"where": layers.ReLU}, r'^where must be "auto"'),
    (toy_resnet, {"where": ["logits"]}, r"^SE requires layers .* Received: 'logits', which returns \(None, 3\)$"),
    (toy_resnet, {"r": 0}, r"^r must be a positive integer\. Received: r=0$"),
    (toy_resnet, {"se": SqueezeExcite(2)}, r"^se must be a function from a layer's path"),
    (toy_resnet, {"se": SqueezeExcite}, r"^se must be a function from a layer's path"),
    (toy_resnet, {"se": lambda path: "no"}, r"^se must return a new .* Received: 'no' for 'one_b_bn'$"),
    (toy_resnet, {"se": lambda path, one=SqueezeExcite(2): one}, r"^se must return a new .* for 'two_b_bn'$"),  # noqa: B008
    (toy_resnet, {"se": lambda path: None}, r"^se must return a layer for at least one place"),
    (doubled, {"where": ["inside"]}, r"^insert_se requires a model with a graph.*Received: 'doubled', a Doubled$"),
    (around_doubled, {"where": ["inside"]}, r"^where must match layers that the model calls.*Received: 'inside'$"),
    (subclassed, {"where": ["conv"]}, r"^insert_se requires a model with a graph.*Received: 'mine', a Mine$"),
    (lambda: keras.Sequential([layers.Conv2D(4, 3)], name="open"), {}, r"Sequential with an Input.* 'open', a Seq"),
    (lambda: layers.ReLU(name="relu"), {}, r"^insert_se requires a model with a graph.*Received: 'relu', a ReLU$"),
    (uncopiable, {"where": ["conv"]}, r"^The layers of the model must have a get_config.* 'no_config', which cannot"),
    (sharing, {}, r"^Each layer must be a part of one model.*: 'stem_conv' in 'sharing' and in 'toy_resnet'$"),
    (lambda: with_se(squeezed), {}, r"^The model has squeeze-and.* a model with 1 block, the first at 'product'$"),
    (lambda: with_se(SqueezeExcite(2, name="own")), {}, r"^The model has .* a model with 1 block, the first at 'own'$"),
    (lambda: with_se(in_operations), {}, r"^The model has squeeze-and-excitation already"),
    (
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="dense"),
        {},
        r"^No residual blocks, modules or stages .* Received: where='auto' for 'dense'$",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("build", "arguments", "message"), REFUSED)
def test_refuses(build: Callable[[], Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        insert_se(build(), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [squeezed, SqueezeExcite(2), in_operations])
def test_more_se_if_forced(make: Any) -> None:
    model = with_se(make)
    randomise(model)
    assert places(model, ["conv"], force=True) == ["conv"]
    assert_same(model, insert_se(model, ["conv"], r=2, force=True))


def test_a_model_within_whose_call_is_its_own_is_a_layer() -> None:
    model = around_doubled()
    randomise(model)
    for copy in (insert_se(model, ["conv"], r=2), remove_se(insert_se(model, ["conv"], r=2), drop="conv_se").model):
        assert_same(model, copy)


def test_a_function_is_asked_about_layers_only() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, ops.relu(layers.Conv2D(4, 3, name="conv")(image)))
    assert places(model, lambda layer: layer.trainable and layer.filters == 4) == ["conv"]


@pytest.mark.parametrize("pool", [ops.mean, ops.max])
def test_attention_to_positions_is_not_se(pool: Callable[..., Any]) -> None:
    def attention(x: Any) -> Any:
        return x * layers.Conv2D(1, 7, padding="same", activation="sigmoid")(pool(x, axis=-1, keepdims=True))

    model = with_se(attention)
    assert places(model, ["conv"]) == ["conv"]


def test_a_convolution_in_a_norm_of_weights_is_a_convolution() -> None:
    x = image = keras.Input((8, 8, 4))
    for name in ("one", "two"):
        x = layers.SpectralNormalization(layers.DepthwiseConv2D(3, padding="same"))(x)
        x = layers.SpectralNormalization(layers.Conv2D(6, 1))(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    model = keras.Model(image, x)
    randomise(model)
    assert places(model) == ["one_relu", "two_relu"]
    assert_same(model, insert_se(model, r=2))


def test_what_multiplies_need_not_be_se() -> None:
    model = with_se(lambda x: layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid")(x)]))
    assert places(model, ["conv"]) == ["conv"]
