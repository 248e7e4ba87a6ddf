"""The table of small networks, one for every builder and one narrow network for every family: what many tests run."""

import inspect
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from keras_se import SqueezeExcite, models
from keras_se.catalog import NETWORKS
from keras_se.models._shared.blocks import BATCH_NORM_MOMENTUM
from keras_se.models.families import inception, inception_resnet, mobilenet, mobilenet_v2
from tests.support.arrays import randomise
from tests.support.networks.network import Network

CLASSES = 5
# What an image of a catalogued network shrinks to: their last stages still have more than one pixel.
SIZES = {224: 64, 299: 107, 32: 32}


@dataclass(frozen=True)
class Row(Network):
    """A builder, and what makes its network small.

    Attributes:
        builder: Its name in `keras_se.models`.
        size: Height and width of the image.
        options: Arguments of the builder.
        pixels: Whether the network takes values from 0 to 255.
        constants: Of the family's file, where its depth is no option and would take long.
        stages: The stages that ask whether a block has SE, in order, where the network is the narrow one of a family.
    """

    builder: str
    size: int = 32
    options: dict[str, Any] = field(default_factory=dict)
    pixels: bool = False
    constants: dict[str, Any] = field(default_factory=dict)
    stages: tuple[int, ...] = ()

    @property
    def family(self) -> str:
        """The module that the builder is from."""
        return getattr(models, self.builder).__module__

    def build(self, **options: Any) -> keras.Model:
        shape = (self.size, self.size, 3)
        with patch.multiple(self.family, **self.constants) if self.constants else nullcontext():
            return getattr(models, self.builder)(**{"input_shape": shape, "classes": CLASSES} | self.options | options)

    def images(self, count: int, seed: int = 0) -> np.ndarray:
        """Noise whose level and contrast differ from image to image and channel to channel, so that gates do, too."""
        rng = np.random.default_rng(seed)
        wide = (count, 1, 1, 3)
        x = rng.uniform(0.2, 0.7, wide) * rng.uniform(-1, 1, (count, self.size, self.size, 3))
        x += rng.uniform(-0.5, 0.5, wide)
        return (127.5 * (x.clip(-1, 1) + 1) if self.pixels else x).astype("float32")


def shallow(family: ModuleType, constant: str) -> dict[str, Any]:
    """The constant with the first two modules of each stage."""
    return {constant: [stage[:2] for stage in getattr(family, constant)]}


THIN: dict[str, Any] = {"alpha": 0.125, "r": 4}
TINY: dict[str, Any] = {"depths": (1, 1), "filters": (8, 16), "r": 4}
TWO, INCEPTION, MOBILE = (1, 2), (1, 1, 2, 2, 3, 3), (1, 2, 2, 3, 3, 4, 4, 5, 5)
# A narrow network of each family, and of each kind of block in it.
NARROW = {
    "resnet": Row("SEResNet", options=TINY, stages=TWO),
    "resnet_d": Row(
        "SEResNet", 33, TINY | {"stride_in": "3x3", "stem": "deep", "pool": "padded", "shortcut": "average"}, stages=TWO
    ),
    "resnet_cifar": Row("SEResNet", 16, TINY | {"block": "basic", "stem": "small", "shortcut": "zeros"}, stages=TWO),
    "resnext": Row("SEResNet", options=TINY | {"width": 2, "groups": 4, "stride_in": "3x3"}, stages=TWO),
    "senet": Row("SENet", options=TINY | {"groups": 4}, stages=TWO),
    "preact_resnet": Row("SEPreActResNet", 16, TINY, stages=TWO),
    "wide_resnet": Row("SEPreActResNet", 16, TINY | {"block": "basic", "filters": (32, 64)}, stages=TWO),
    "vgg": Row("SEVGG", options=TINY | {"hidden": 16}, stages=TWO),
    # Stage 1 has a block and a transition.
    "densenet": Row("SEDenseNet", options={"depths": (2, 2), "growth": 8, "r": 4}, stages=(1, 1, 2)),
    "bn_inception": Row("SEBNInception", 64, THIN, constants=shallow(inception, "BN_INCEPTION"), stages=INCEPTION),
    "inception_v3": Row("SEInceptionV3", 107, THIN, constants=shallow(inception, "INCEPTION_V3"), stages=INCEPTION),
    "inception_resnet": Row(
        *("SEInceptionResNetV2", 107, THIN),
        constants={"STAGES": [(opening, block, 2, scale) for opening, block, _, scale in inception_resnet.STAGES]},
        stages=INCEPTION,
    ),
    "mobilenet": Row(
        *("SEMobileNet", 32, {"alpha": 0.25, "r": 4}),
        constants={"STAGES": [(filters, min(depth, 2)) for filters, depth in mobilenet.STAGES]},
        stages=MOBILE,
    ),
    "mobilenet_v2": Row(
        *("SEMobileNetV2", 32, {"alpha": 0.35, "r": 4}),
        constants={"STAGES": [(*row, min(depth, 2), stride) for *row, depth, stride in mobilenet_v2.STAGES]},
        stages=(*MOBILE, 6, 6, 7),
    ),
    "mobilenet_v3": Row(
        "SEMobileNetV3", options={"variant": "small", "alpha": 0.25}, pixels=True, stages=(1, 3, 3, 3, 4, 4, 5, 5, 5)
    ),
    "shufflenet": Row("SEShuffleNet", options=THIN, constants={"DEPTHS": (2, 2, 2)}, stages=INCEPTION),
}
# Those of a hundred layers and more.
DEEP = {
    *("bn_inception", "inception_v3", "inception_resnet"),
    *("mobilenet", "mobilenet_v2", "mobilenet_v3", "shufflenet"),
}
# Every builder at its full width. Those of any depth and width are above.
FULL = {
    network.builder: Row(network.builder, SIZES[network.size], pixels="MobileNetV3" in network.builder)
    for network in NETWORKS
}
TABLE = NARROW | FULL
# Builders of any depth or width: they have an argument that must be given.
FAMILIES = {
    name
    for name in models.BUILDERS
    if any(p.default is p.empty for p in inspect.signature(getattr(models, name)).parameters.values())
}


def enliven(model: keras.Model, images: np.ndarray) -> None:
    """Random weights such as training leaves: what the images differ in reaches the outputs, and rounding does not."""
    randomise(model)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if isinstance(layer, SqueezeExcite):  # gates that are neither all alike nor all 0 or 1
            layer.reduce_kernel.assign(layer.reduce_kernel * 0.5)
            layer.reduce_bias.assign(layer.reduce_bias + 0.3)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            middle = np.zeros(layer.kernel.shape)
            middle[tuple(size // 2 for size in layer.kernel_size)] = 1
            layer.kernel.assign(middle + layer.kernel * 0.5)
    for norm in norms:
        norm.beta.assign(norm.beta + 0.5)  # more than half of what comes to a ReLU is positive
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        norm.momentum = BATCH_NORM_MOMENTUM
        # Not the variance alone: where images hardly differ, that would make the network an amplifier of rounding.
        norm.moving_variance.assign(norm.moving_variance + norm.moving_mean**2 / 4)
