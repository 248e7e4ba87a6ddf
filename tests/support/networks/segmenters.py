"""What the tests of segmentation networks share: small backbones, images, and the parts of their heads in NumPy."""

import re
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_se.models import LRASPP, SEVGG, SEInceptionV3, SEResNet, SEUNet, feature_pyramid
from tests.support.arrays import array
from tests.support.numpy_networks import conv, relu
from tests.support.numpy_se import gates_in_numpy, scale_in_numpy, squeeze_in_numpy

CLASSES = 5
EPSILON = 1e-5

resnet = partial(SEResNet, (1, 1, 1), block="basic", filters=(4, 6, 8), r=2)  # strides 2, 4, 8, 16
small = partial(SEResNet, (1, 1), block="basic", filters=(4, 6), r=2, stem="small")  # strides 1, 2
vgg = partial(SEVGG, (1,) * 5, filters=(1, 2, 3, 4, 5), hidden=2)  # strides 1, 2, 4, 8, 16, 32
inception = partial(SEInceptionV3, alpha=1 / 16)


def unet(**options: Any) -> keras.Model:
    return SEUNet(resnet(input_shape=(32, 32, 3), include_top=False), CLASSES, **options)


def lraspp(**options: Any) -> keras.Model:
    return LRASPP(resnet(input_shape=(64, 64, 3), include_top=False), CLASSES, **options)


# The layers of the heads, not of the backbones.
OWN = re.compile(r"(decoder|coarse|fine|gate|up|logits|resized|channels_last|predictions)")


def images(height: int, width: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, height, width, 3)).astype("float32")


def own_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if OWN.match(layer.name)]


def maps_of(backbone: keras.Model, strides: tuple[int, ...], x: np.ndarray) -> dict[int, np.ndarray]:
    maps = feature_pyramid(backbone, strides)(x)
    return {stride: array(features) for stride, features in zip(strides, maps, strict=True)}


class NumpyHead:
    """The layers of a head, by name, in float64; it has the weights of a Keras model."""

    def __init__(self, model: keras.Model):
        self.model = model

    def weights(self, name: str) -> dict[str, np.ndarray]:
        return {weight.name: array(weight) for weight in self.model.get_layer(name).weights}

    def conv(self, x: np.ndarray, name: str) -> np.ndarray:
        weights = self.weights(name)
        return conv(x, weights["kernel"], 1) + weights.get("bias", 0)

    def conv_bn_relu(self, x: np.ndarray, name: str) -> np.ndarray:
        norm = self.weights(f"{name}_bn")
        x = (self.conv(x, name) - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + EPSILON)
        return relu(x * norm["gamma"] + norm["beta"])

    def excited(self, x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
        return scale_in_numpy(x, gates_in_numpy(squeeze_in_numpy(x, "avg"), weights, "relu", "sigmoid"))
