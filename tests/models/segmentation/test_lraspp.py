"""LRASPP: against NumPy, as torchvision has it, its strides, and what it refuses."""

from typing import Any

import numpy as np
import pytest

from keras_se.models import LRASPP, SEMobileNetV3Large
from tests.support.arrays import array, error, randomise, resized_in_numpy
from tests.support.networks.segmenters import CLASSES, NumpyHead, images, maps_of, own_layers, resnet, small
from tests.support.numpy_networks import feeds, graphs_only
from tests.support.numpy_se import NONLINEARITIES


class NumpyLRASPP(NumpyHead):
    def __call__(self, fine: np.ndarray, coarse: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """As in torchvision: https://github.com/pytorch/vision, models/segmentation/lraspp.py."""
        gate = NONLINEARITIES["sigmoid"](self.conv(coarse.mean(axis=(1, 2), keepdims=True), "gate_conv"))
        x = resized_in_numpy(self.conv_bn_relu(coarse, "coarse_conv") * gate, fine.shape[1:3])
        return resized_in_numpy(self.conv(x, "coarse_logits") + self.conv(fine, "fine_logits"), size)


@pytest.mark.parametrize("size", [(64, 48), (45, 75)])
def test_lraspp_computes_what_numpy_computes(size: tuple[int, int]) -> None:
    backbone = resnet(input_shape=(*size, 3), include_top=False)
    model = LRASPP(backbone, CLASSES, filters=12, classifier_activation=None)
    randomise(model)
    x = images(*size)
    expected = NumpyLRASPP(model)(*maps_of(backbone, (8, 16), x).values(), size)
    assert error(array(model(x)), expected) < 1e-5


@graphs_only
def test_names() -> None:
    backbone = resnet(input_shape=(32, 32, 3), name="mine")
    model = LRASPP(backbone, CLASSES)
    assert model.name == "mine_lraspp"
    assert LRASPP(backbone, CLASSES, name="another").name == "another"
    assert set(own_layers(model)) == {
        *("coarse_conv", "coarse_conv_bn", "coarse_conv_relu", "gate_pool", "gate_conv", "gated", "up"),
        *("coarse_logits", "fine_logits", "logits", "resized", "predictions"),
    }
    assert feeds(model, "coarse_conv") == feeds(model, "gate_pool") == ["stage3_block1_relu"]
    assert feeds(model, "fine_logits") == ["stage2_block1_relu"]


@graphs_only
def test_other_strides() -> None:
    backbone = small(input_shape=(8, 8, 3))
    model = LRASPP(backbone, CLASSES, filters=7, strides=(1, 2))
    assert feeds(model, "coarse_conv") == ["stage2_block1_relu"]
    assert model.get_layer("gated").output.shape == (None, 4, 4, 7)
    assert model.output_shape == (None, 8, 8, CLASSES)
    assert LRASPP(resnet(), CLASSES, strides=[4, 8]).get_layer("coarse_conv").filters == 128


@graphs_only
def test_a_mobile_network_with_the_head_made_for_it() -> None:
    model = LRASPP(SEMobileNetV3Large(input_shape=(64, 64, 3), include_top=False), 19)
    assert feeds(model, "fine_logits") == ["stage3_block3_add"]
    assert feeds(model, "coarse_conv") == ["stage5_block2_add"]
    # By hand: 112·128 weights and 4·128 of the norm, 112·128 of the gate, (128 + 1)·19 and (40 + 1)·19.
    head = sum(model.get_layer(name).count_params() for name in own_layers(model))
    assert head == 112 * 128 + 4 * 128 + 112 * 128 + 129 * 19 + 41 * 19


# What is refused


@pytest.mark.parametrize("filters", [0, 2.5, None, (128,)])
def test_refuses_filters(filters: Any) -> None:
    with pytest.raises(ValueError, match=r"^filters must be a positive integer\. Received: filters="):
        LRASPP(resnet(), CLASSES, filters)


def test_refuses_strides() -> None:
    for strides in ((8,), (4, 8, 16), 8, None):
        with pytest.raises(ValueError, match=r"^strides must be two integers, .*\. Received: "):
            LRASPP(resnet(), CLASSES, strides=strides)
    for strides in ((8, 4), (4, 4)):
        with pytest.raises(ValueError, match=r"^strides must have that of the fine map first\. Received: "):
            LRASPP(resnet(), CLASSES, strides=strides)
    with pytest.raises(
        ValueError, match=r"^strides must be among those of 'se_resnet': \[1, 2\]\. Received: strides=\(8, 16\)$"
    ):
        LRASPP(small(), CLASSES)
