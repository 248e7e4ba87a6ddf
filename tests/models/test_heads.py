"""Every builder, its images shrunk, under every head: builds, learns in a step, and exports to files that are right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import FORMATS
from keras_se.models import LRASPP, SEFCOS, FCOSLoss, SEUNet
from keras_se.models.pyramid import levels
from tests.support.arrays import array
from tests.support.cases import case
from tests.support.networks import NARROW
from tests.support.networks.families import CLASSES, TABLE, Row, enliven
from tests.support.numpy_networks import graphs_only

pytestmark = graphs_only
COUNT = 4


@dataclass(frozen=True)
class Head:
    """What is built on a network, and how it is trained.

    Attributes:
        build: From a backbone to a model.
        loss: For `compile`.
        targets: What the model should tell of so many images, by the generator.
        strides: Those that a backbone must have.
        rate: Of learning, such that the least change of a weight is seen in 32 bits.
    """

    build: Callable[[keras.Model], keras.Model]
    loss: Any
    targets: Callable[[np.random.Generator, int, keras.Model], Any]
    strides: tuple[int, ...] = ()
    rate: float = 0.1


def masks(rng: np.random.Generator, count: int, model: keras.Model) -> np.ndarray:
    return rng.integers(0, CLASSES, (count, *model.output_shape[1:3]))


def boxes(rng: np.random.Generator, count: int, model: keras.Model) -> np.ndarray:
    """At each location a class, or none, and a box."""
    targets = rng.uniform(0.1, 2, (count, model.output_shape[1], 5))
    targets[..., 0] = rng.integers(-1, CLASSES, targets.shape[:2])
    return targets


def fcos(backbone: keras.Model) -> keras.Model:
    """On the two coarsest maps, whatever these are."""
    return SEFCOS(backbone, CLASSES, 8, strides=sorted(levels(backbone))[-2:], depth=1, r=2)


SEGMENTATION: dict[str, Any] = {"loss": "sparse_categorical_crossentropy", "targets": masks}
HEADS = {
    "unet": Head(lambda backbone: SEUNet(backbone, CLASSES), **SEGMENTATION),
    "unet_scse": Head(lambda backbone: SEUNet(backbone, CLASSES, se="scse"), **SEGMENTATION),
    "lraspp": Head(lambda backbone: LRASPP(backbone, CLASSES), strides=(8, 16), **SEGMENTATION),
    "fcos": Head(fcos, loss=FCOSLoss(), targets=boxes, rate=1.0),
}
# These have two or three stages, and LRASPP wants a stride of 16 if it is not given others.
WITHOUT_STRIDE_16 = {
    *("resnet", "resnet_d", "resnet_cifar", "resnext", "senet", "preact_resnet", "wide_resnet", "vgg", "densenet"),
    *("SEResNet20", "SEResNet32", "SEResNet44", "SEResNet56", "SEResNet110", "SEResNet164", "SEWRN16_8"),
}
# In every run: two ways in which sizes go on, and the mobile one that the smallest head was made for. (More
# files are in tests/export/test_segmentation.py.)
OFTEN = {
    "unet_scse": ("resnet", "vgg"),
    "lraspp": ("mobilenet_v3",),
    "fcos": ("vgg", "shufflenet"),
}
# A channel-wise convolution with its own norm takes back what scale these give a channel: before their first step, when
# nothing is added to the channels, they have no gradient but what that norm's epsilon leaves, less than a rounding.
SCALED_BACK = {"SEShuffleNet": "_conv1_bn/gamma"}


def refused(head: str, name: str) -> bool:
    return bool(HEADS[head].strides) and name in WITHOUT_STRIDE_16


def often(head: str, name: str) -> bool:
    return name in OFTEN.get(head, ()) or (name in NARROW and refused(head, name))


PAIRS = [case(head, name, slow=not often(head, name)) for name in TABLE for head in HEADS]


@pytest.mark.parametrize(("head", "name"), PAIRS)
def test_every_backbone_under_every_head(head: str, name: str, tmp_path: Path) -> None:
    row = TABLE[name]
    backbone = row.build(include_top=False)
    if refused(head, name):
        with pytest.raises(ValueError, match=r"^strides must be among those of .*: \[.*\]\. Received: strides="):
            HEADS[head].build(backbone)
        return
    model = HEADS[head].build(backbone)
    check_learns(HEADS[head], model, row)
    enliven(model, row.images(COUNT))  # one step may leave a deep network with outputs that are mostly rounding
    check_exports(model, row, tmp_path)


def check_learns(head: Head, model: keras.Model, row: Row) -> None:
    """A step of training has a finite loss, and changes every weight that the output depends on."""
    before = {weight.path: array(weight) for weight in model.trainable_weights}
    model.compile(keras.optimizers.SGD(head.rate), head.loss, run_eagerly=True)
    loss = model.train_on_batch(row.images(COUNT), head.targets(np.random.default_rng(0), COUNT, model))
    assert np.isfinite(loss)
    still = [weight.path for weight in model.trainable_weights if np.array_equal(array(weight), before[weight.path])]
    # In a block whose SE has one or two hidden units, these may all be off: their weights have no gradient then.
    tiny = SCALED_BACK.get(row.builder, "_se/")
    assert not [path for path in still if "_se/" not in path and tiny not in path]


def check_exports(model: keras.Model, row: Row, folder: Path) -> None:
    """The files are compared with Keras while they are made; here, again, on images that they have not seen."""
    images = row.images(2, seed=1)
    expected = keras.tree.flatten(model.predict(images, verbose=0))
    for format_ in (FORMATS["tflite"], FORMATS["onnx"]):
        path = folder / f"model{format_.suffix}"
        artifact = format_.convert(model, path, verification_data=row.images(COUNT))
        assert artifact.parity.passed
        for found, wanted in zip(keras.tree.flatten(artifact.predict(images)), expected, strict=True):
            assert found.shape == wanted.shape
            assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()
