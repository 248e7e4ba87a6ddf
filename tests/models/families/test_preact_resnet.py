"""Pre-activation SE-ResNet: what it computes, where SE sits, and what its layers are called."""

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models import SEWRN16_8, SEPreActResNet
from tests.support.arrays import array, error, randomise
from tests.support.numpy_networks import NumpyPreActResNet, check_placements, feeds, graphs_only

BRANCH = {"basic": ["conv1", "conv2"], "bottleneck": ["conv1", "conv2", "conv3"]}


def small(**options: Any) -> keras.Model:
    """Two stages with one and two blocks of a few channels."""
    return SEPreActResNet(**({"depths": (1, 2), "filters": (4, 8), "input_shape": (8, 8, 3), "classes": 5} | options))


@cache
def standard() -> keras.Model:
    return small()


# What it computes


@pytest.mark.parametrize(
    ("block", "size", "filters"),  # the stem has 16 channels: with as many, the shortcut of stage 1 is the input itself
    [("bottleneck", (9, 10), (2, 3)), ("bottleneck", (8, 8), (4, 3)), ("basic", (9, 10), (16, 20))],
)
def test_computes_what_numpy_computes(block: str, size: tuple[int, int], filters: tuple[int, int]) -> None:
    model = small(block=block, filters=filters, input_shape=(*size, 3), include_top=False, r=2)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    assert error(array(model(x)), NumpyPreActResNet(model, (1, 2), BRANCH[block], stem_stride=1)(x)) < 1e-5


@pytest.mark.parametrize(("size", "pixels"), [(8, 2), (9, 3), (12, 3), (13, 4), (32, 8), (None, None)])
def test_sizes_of_the_feature_map(size: int | None, pixels: int | None) -> None:
    model = SEPreActResNet((1, 1, 1), filters=(1, 1, 1), include_top=False, input_shape=(size, size, 3))
    assert model.output_shape == (None, pixels, pixels, 4)


# Where SE sits

PLACES = {
    "standard": [
        ("stage1_block1", "stage1_block1_conv3", {"stage1_block1_add"}, 16),
        ("stage2_block1", "stage2_block1_conv3", {"stage2_block1_add"}, 32),
        ("stage2_block2", "stage2_block2_conv3", {"stage2_block2_add"}, 32),
    ],
    "pre": [
        ("stage1_block1", "stage1_block1_pre_relu", {"stage1_block1_conv1"}, 16),
        ("stage2_block1", "stage2_block1_pre_relu", {"stage2_block1_conv1"}, 16),
        ("stage2_block2", "stage2_block2_pre_relu", {"stage2_block2_conv1"}, 32),
    ],
    "post": [
        ("stage1_block1", "stage1_block1_add", {"stage2_block1_pre_bn"}, 16),
        ("stage2_block1", "stage2_block1_add", {"stage2_block2_pre_bn", "stage2_block2_add"}, 32),
        ("stage2_block2", "stage2_block2_add", {"final_bn"}, 32),
    ],
    "identity": [
        ("stage1_block1", "stem_conv", {"stage1_block1_add"}, 16),
        ("stage2_block1", "stage2_block1_shortcut", {"stage2_block1_add"}, 32),
        ("stage2_block2", "stage2_block1_add", {"stage2_block2_add"}, 32),
    ],
    "3x3": [
        ("stage1_block1", "stage1_block1_conv2_relu", {"stage1_block1_conv3"}, 4),
        ("stage2_block1", "stage2_block1_conv2_relu", {"stage2_block1_conv3"}, 8),
        ("stage2_block2", "stage2_block2_conv2_relu", {"stage2_block2_conv3"}, 8),
    ],
}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    check_placements(small(placement=placement), PLACES[placement])


def test_the_placement_within_a_basic_block() -> None:
    places = [
        (block, f"{block}_conv1_relu", {f"{block}_conv2"}, channels)
        for block, channels in [("stage1_block1", 4), ("stage2_block1", 8), ("stage2_block2", 8)]
    ]
    check_placements(small(placement="3x3", block="basic"), places)


@pytest.mark.parametrize("placement", ["standard", "pre"])
def test_shortcut_reads_the_activation_before_se(placement: str) -> None:
    model = small(placement=placement)
    assert feeds(model, "stage2_block1_shortcut") == ["stage2_block1_pre_relu"]
    assert "stage2_block1_add" in feeds(model, "stage2_block2_add")


# What it is called, and its layers


def test_layers_are_named_after_their_place() -> None:
    branch = ["pre_bn", "pre_relu", "conv1", "conv1_bn", "conv1_relu", "conv2", "conv2_bn", "conv2_relu", "conv3"]
    blocks = {
        "stage1_block1": [*branch, "se", "add"],
        "stage2_block1": [*branch, "shortcut", "se", "add"],
        "stage2_block2": [*branch, "se", "add"],
    }
    others = ["image", "stem_conv", "final_bn", "final_relu", "avg_pool", "predictions"]
    expected = [f"{block}_{name}" for block, names in blocks.items() for name in names]
    assert sorted(layer.name for layer in standard().layers) == sorted([*others, *expected])


def test_no_convolution_has_a_bias() -> None:
    assert not any(layer.use_bias for layer in standard().layers if isinstance(layer, keras.layers.Conv2D))


@graphs_only
def test_a_wide_network() -> None:
    model = SEWRN16_8(input_shape=(8, 8, 3))
    convolutions = {x.name: x for x in model.layers if isinstance(x, keras.layers.Conv2D)}
    assert len([name for name in convolutions if "shortcut" not in name]) == 13  # a stem and 3 stages of 2 times 2
    for stage, filters in enumerate((128, 256, 512), start=1):
        assert {convolutions[f"stage{stage}_block{b}_conv{i}"].filters for b in (1, 2) for i in (1, 2)} == {filters}
    assert convolutions["stem_conv"].filters == 16
    assert (model.name, model.output_shape) == ("se_wrn16_8", (None, 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "x"}, r"^block must be one of 'bottleneck', 'basic'\. Received: block='x'$"),
        ({"filters": (4,)}, r"^depths and filters must have .* Received: depths=\(1, 2\), filters=\(4,\)$"),
        ({"filters": (4, 0)}, r"^filters must be a positive integer\. Received: filters=0$"),
        ({"depths": (1, 0)}, r"^depths must be a positive integer\. Received: depths=0$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"input_shape": (8, 7, 3)}, r"^input_shape must be .* 8x8 pixels .* shape \(8, 7, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
