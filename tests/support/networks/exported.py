"""Small networks of every kind that an exporter meets, trained-looking, with inputs for them."""

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_se import SqueezeExcite
from keras_se.models import SEMobileNet, SEResNet
from tests.support.networks.network import Network

SAMPLES = 24


def se_resnet(**options: Any) -> keras.Model:
    settings: dict[str, Any] = {"block": "basic", "filters": (8, 16), "stem": "small", "classes": 10, "r": 4}
    return SEResNet((1, 1), input_shape=(16, 16, 3), **{**settings, **options})


def se_mobilenet() -> keras.Model:
    return SEMobileNet(alpha=0.25, input_shape=(32, 32, 3), classes=10)


def grouped() -> keras.Model:
    image = keras.Input((8, 8, 8), name="image")
    x = conv_bn_se(image, 16, "block", groups=4)
    return keras.Model(image, classifier(x, 5), name="grouped")


def two_inputs() -> keras.Model:
    """Inputs whose order is not that of their names, and outputs by name."""
    zebra, apple = keras.Input((16, 16, 3), name="zebra"), keras.Input((4,), name="apple")
    x = conv_bn_se(zebra, 8, "block")
    joined = layers.Concatenate(name="joined")([layers.GlobalAveragePooling2D(name="pool")(x), apple])
    outputs = {"map": layers.Conv2D(2, 1, name="per_pixel")(x), "label": layers.Dense(5, name="per_image")(joined)}
    return keras.Model([zebra, apple], outputs, name="two_inputs")


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            SqueezeExcite(2, name="se"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(5, name="logits"),
        ],
        name="sequential",
    )


def nested() -> keras.Model:
    inner_input = keras.Input((16, 16, 3), name="inner_image")
    inner = keras.Model(inner_input, conv_bn_se(inner_input, 8, "inner"), name="backbone")
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_se(inner(image), 8, "outer")
    return keras.Model(image, classifier(x, 5), name="nested")


def segmentation() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = conv_bn_se(image, 8, "down", strides=2)
    x = layers.UpSampling2D(2, name="up")(x)
    return keras.Model(image, layers.Conv2D(3, 1, activation="softmax", name="classes")(x), name="segmentation")


def sequence() -> keras.Model:
    steps = keras.Input((12, 6), name="steps")
    x = layers.Conv1D(16, 3, padding="same", use_bias=False, name="conv")(steps)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    x = SqueezeExcite(4, name="se")(x)
    return keras.Model(steps, layers.Conv1D(4, 1, name="labels")(x), name="sequence")


def mixed_float16() -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return se_resnet(name="mixed_float16")
    finally:
        keras.config.set_dtype_policy(before)


def conv_bn_se(x: Any, filters: int, name: str, **options: Any) -> Any:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv", **options)(x)
    x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))
    return SqueezeExcite(4, name=f"{name}_se")(x)


def classifier(x: Any, classes: int, name: str = "logits") -> Any:
    return layers.Dense(classes, name=name)(layers.GlobalAveragePooling2D(name="pool")(x))


EXPORTED = {
    "se_resnet": Network(make=se_resnet),
    "se_mobilenet": Network(make=se_mobilenet),
    "grouped": Network(make=grouped, outputs=("logits",)),
    "two_inputs": Network(make=two_inputs, inputs=("zebra", "apple"), outputs=("label", "map")),
    "sequential": Network(make=sequential, outputs=("logits",)),
    "nested": Network(make=nested, outputs=("logits",)),
    "segmentation": Network(make=segmentation, outputs=("classes",)),
    "sequence": Network(make=sequence, inputs=("steps",), outputs=("labels",)),
    # Files are in float32: what they are held against is the same network built in float32.
    "mixed_float16": Network(make=mixed_float16, twin=se_resnet),
}


@dataclass(frozen=True)
class Sample:
    """A network that no test may change, inputs by name, and what it computes of them, by name."""

    model: keras.Model
    feeds: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]

    @property
    def data(self) -> Any:
        """The inputs as the model takes them."""
        columns = list(self.feeds.values())
        return columns[0] if len(columns) == 1 else columns


@cache
def sample(name: str) -> Sample:
    network = EXPORTED[name]
    model = network.build()
    feeds = images(model, network.inputs)
    enliven(model, list(feeds.values()))
    twin = network.twin() if network.twin else model
    twin.set_weights(model.get_weights())
    outputs = twin.predict(packed(feeds), verbose=0)
    return Sample(model, feeds, outputs if isinstance(outputs, dict) else {network.outputs[0]: outputs})


def packed(feeds: dict[str, np.ndarray]) -> Any:
    columns = list(feeds.values())
    return columns[0] if len(columns) == 1 else columns


def images(model: keras.Model, names: tuple[str, ...], count: int = SAMPLES) -> dict[str, np.ndarray]:
    """Noise whose level and contrast differ from sample to sample, so that means over space do, too."""
    rng = np.random.default_rng(zlib.crc32(model.name.encode()))
    feeds = {}
    for name, tensor in zip(names, model.inputs, strict=True):
        shape = (count, *tensor.shape[1:])
        wide = (count, *(1 for _ in shape[1:-1]), shape[-1])
        values = rng.uniform(0.3, 1.5, wide) * rng.standard_normal(shape) + rng.standard_normal(wide)
        feeds[name] = values.astype("float32")
    return feeds


def enliven(model: keras.Model, columns: list[np.ndarray]) -> None:
    """Random weights such as training leaves: biases and batch norms do something, and gates and outputs vary.

    A tensor that an exporter drops, or takes for its neighbour, then shows in the outputs.
    """
    rng = np.random.default_rng(zlib.crc32(model.name.encode()) + 1)
    norms = [layer for layer in every_layer(model) if isinstance(layer, layers.BatchNormalization)]
    for layer in every_layer(model):
        for weight in layer.weights if not isinstance(layer, keras.Model) else ():
            weight.assign(_drawn(rng, weight, excitation=isinstance(layer, SqueezeExcite)))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model([keras.ops.convert_to_tensor(x) for x in columns] if len(columns) > 1 else columns[0], training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        mean, variance = (value.numpy() for value in (norm.moving_mean, norm.moving_variance))
        # Not the variance alone: where samples hardly differ, that would make the network a noise amplifier.
        norm.moving_variance.assign((variance + mean**2 / 4) * rng.uniform(0.6, 1.6, mean.shape))
        norm.moving_mean.assign(mean + rng.normal(0, 0.1, mean.shape))


def _drawn(rng: np.random.Generator, weight: Any, excitation: bool) -> np.ndarray:
    shape, name = tuple(weight.shape), weight.name
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.7, 1.4, shape)
    if name == "beta":
        return rng.normal(0.7, 0.3, shape)
    if len(shape) == 1:
        return rng.normal(0.2 if excitation else 0, 0.2, shape)
    if len(shape) == 4 and shape[0] == 3 and shape[-1] == 1:
        # Depthwise, on maps of one pixel at the end: a small tap in the middle would lose its digits there.
        return rng.normal(0, 0.2, shape) + (np.arange(9) == 4).reshape(3, 3, 1, 1)
    return rng.normal(0, (0.7 if excitation else 1.4) / np.sqrt(np.prod(shape[:-1])), shape)


def every_layer(model: keras.Model) -> list[keras.layers.Layer]:
    return [found for layer in model.layers for found in (every_layer(layer) if hasattr(layer, "layers") else [layer])]
