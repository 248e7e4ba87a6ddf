"""Small models of each kind of network, and how tests of `insert_se` look at models."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_se import SqueezeExcite, insertion_plan
from tests.support.arrays import array, error
from tests.support.networks.network import Network

TOLERANCE = 1e-5


def places(model: keras.Model, where: Any = "auto", **options: Any) -> list[str]:
    return [row.layer for row in insertion_plan(model, where, r=2, **options).rows]


def conv_bn_relu(x: Any, filters: int, name: str, kernel: int = 3, activation: bool = True, **options: Any) -> Any:
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=f"{name}_conv", **options)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x


def head(x: Any, name: str = "logits") -> Any:
    return layers.Dense(3, name=name)(layers.GlobalAveragePooling2D(name=f"{name}_pool")(x))


def toy_resnet() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(image, 8, "stem")
    for name, filters, strides in (("one", 8, 1), ("two", 16, 2)):
        y = conv_bn_relu(x, filters, f"{name}_a", strides=strides)
        y = conv_bn_relu(y, filters, f"{name}_b", activation=False)
        short = x if strides == 1 else conv_bn_relu(x, filters, f"{name}_short", 1, activation=False, strides=2)
        x = layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([short, y]))
    return keras.Model(image, head(x), name="toy_resnet")


def toy_inception() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = layers.MaxPooling2D(2, name="pool")(conv_bn_relu(image, 8, "stem"))
    for name in ("one", "two"):
        deep = conv_bn_relu(x, 4, f"{name}_reduce", 1)
        # A way that forks again, as in the last modules of Inception-v3.
        deep = layers.Concatenate(name=f"{name}_inner")(
            [conv_bn_relu(deep, 4, f"{name}_wide", (1, 3)), conv_bn_relu(deep, 4, f"{name}_high", (3, 1))]
        )
        pooled = layers.AveragePooling2D(3, 1, padding="same", name=f"{name}_average")(x)
        ways = [conv_bn_relu(x, 4, f"{name}_1x1", 1), deep, conv_bn_relu(pooled, 4, f"{name}_project", 1)]
        x = layers.Concatenate(name=f"{name}_concat")(ways)
    return keras.Model(image, head(x), name="toy_inception")


def toy_densenet() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(image, 8, "stem")
    for block in ("one", "two"):
        for i in range(2):
            y = layers.ReLU(name=f"{block}_{i}_relu")(layers.BatchNormalization(name=f"{block}_{i}_bn")(x))
            y = layers.Conv2D(4, 3, padding="same", name=f"{block}_{i}_conv")(y)
            x = layers.Concatenate(name=f"{block}_{i}_concat")([x, y])
        if block == "one":
            x = conv_bn_relu(x, 8, "transition", 1)
            x = layers.AveragePooling2D(2, name="transition_pool")(x)
    return keras.Model(image, head(x), name="toy_densenet")


def toy_vgg() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1a"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1b"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 3, padding="same", name="conv2"),
            layers.BatchNormalization(name="bn2"),
            layers.ReLU(name="relu2"),
            layers.Dropout(0.5, name="drop"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, name="logits"),
        ],
        name="toy_vgg",
    )


def toy_mobilenet() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(image, 8, "stem")
    for i in range(2):
        x = layers.DepthwiseConv2D(3, padding="same", name=f"{i}_dw")(x)
        x = layers.ReLU(6.0, name=f"{i}_dw_relu")(layers.BatchNormalization(name=f"{i}_dw_bn")(x))
        x = conv_bn_relu(x, 8, f"{i}_pw", 1)
    return keras.Model(image, head(x), name="toy_mobilenet")


def toy_inverted() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_relu(image, 4, "stem")
    for i, filters in enumerate((4, 8)):
        y = conv_bn_relu(x, 12, f"{i}_expand", 1)
        y = layers.DepthwiseConv2D(3, padding="same", name=f"{i}_dw")(y)
        y = layers.ReLU(6.0, name=f"{i}_dw_relu")(layers.BatchNormalization(name=f"{i}_dw_bn")(y))
        y = conv_bn_relu(y, filters, f"{i}_project", 1, activation=False)
        x = layers.Add(name=f"{i}_add")([x, y]) if filters == 4 else y
    return keras.Model(image, head(x), name="toy_inverted")


@keras.saving.register_keras_serializable(package="tests")
class Scaled(layers.Layer):
    """LayerScale."""

    def build(self, shape: tuple) -> None:
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

    def call(self, x: Any) -> Any:
        return self.gamma * x


def toy_operations() -> keras.Model:
    """A residual block of functions of `keras.ops`, whose branch is scaled and dropped."""
    image = keras.Input((8, 8, 4), name="image")
    y = ops.relu(layers.Conv2D(4, 3, padding="same", name="conv1")(image))
    y = layers.Conv2D(4, 3, padding="same", name="conv2")(y)
    y = layers.Dropout(0.5)(Scaled(name="scaled")(y))
    return keras.Model(image, head(ops.relu(image + y)), name="toy_operations")


def toy_unet() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    wide = conv_bn_relu(image, 8, "down")
    low = conv_bn_relu(layers.MaxPooling2D(2, name="pool")(wide), 16, "low")
    x = layers.Concatenate(name="skip")([wide, layers.UpSampling2D(2, name="up")(low)])
    x = conv_bn_relu(x, 8, "out")
    return keras.Model(image, layers.Conv2D(2, 1, activation="softmax", name="classes")(x), name="toy_unet")


TOYS = {
    "toy_resnet": Network(make=toy_resnet, se_after=("one_b_bn", "two_b_bn")),
    "toy_inception": Network(make=toy_inception, se_after=("one_concat", "two_concat")),
    "toy_densenet": Network(make=toy_densenet, se_after=("one_1_concat", "transition_pool", "two_1_concat")),
    "toy_vgg": Network(make=toy_vgg, se_after=("conv1b", "relu2")),
    "toy_mobilenet": Network(make=toy_mobilenet, se_after=("0_pw_relu", "1_pw_relu")),
    "toy_inverted": Network(make=toy_inverted, se_after=("0_dw_relu", "1_dw_relu")),
    "toy_operations": Network(make=toy_operations, se_after=("conv2",)),
    "toy_unet": Network(make=toy_unet, se_after=("down_relu", "low_relu", "out_relu")),
}


def noise(model: keras.Model, count: int = 4, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    shapes = [[size or 8 for size in x.shape[1:]] for x in model.inputs]
    found = [rng.normal(size=(count, *shape)).astype("float32") for shape in shapes]
    return found if len(found) > 1 else found[0]


def outputs(model: keras.Model, x: Any) -> list[np.ndarray]:
    return [array(y) for y in keras.tree.flatten(model(x, training=False))]


def assert_same(model: keras.Model, other: keras.Model, tolerance: float = TOLERANCE) -> None:
    x = noise(model)
    for expected, actual in zip(outputs(model, x), outputs(other, x), strict=True):
        assert error(expected[1:], expected[:-1]) > 1e-2
        assert error(actual, expected) < tolerance


def inserted(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, SqueezeExcite)]


def nested_model() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    backbone = toy_resnet()
    inner = keras.Model(backbone.input, backbone.get_layer("two_out").output, name="backbone")
    parts = [keras.Input((8, 8, 16)), layers.Conv2D(8, 3, name="conv"), layers.ReLU(name="relu")]
    tail = keras.Sequential(parts, name="tail")
    return keras.Model(image, head(tail(inner(layers.Rescaling(2.0)(image), training=False))), name="whole")
