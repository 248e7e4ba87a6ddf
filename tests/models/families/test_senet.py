"""SENet: what it computes, where SE sits, and what its layers are called."""

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models import SENet
from tests.support.arrays import array, error, randomise
from tests.support.numpy_networks import (
    NumpyResNet,
    check_placements,
    graphs_only,
    max_pool_ceil,
    max_pool_padded,
)

pytestmark = graphs_only

STEM = ("stem_conv1", "stem_conv2", "stem_conv3")


def small(**options: Any) -> keras.Model:
    """Two stages with one and two blocks of a few channels."""
    shape = {"depths": (1, 2), "filters": (2, 4), "groups": 4, "input_shape": (32, 32, 3), "classes": 5}
    return SENet(**(shape | options))


def convolution(model: keras.Model, name: str) -> tuple:
    layer = model.get_layer(name)
    return layer.filters, layer.kernel_size, layer.strides, layer.groups


@cache
def standard() -> keras.Model:
    return small()


# What it computes


@pytest.mark.parametrize(
    ("size", "options", "pool"), [((37, 34), {}, max_pool_ceil), ((32, 45), {"pool": "padded"}, max_pool_padded)]
)
def test_computes_what_numpy_computes(size: tuple[int, int], options: dict[str, Any], pool: Any) -> None:
    model = small(input_shape=(*size, 3), include_top=False, r=2, **options)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    convolutions = ["conv1", "conv2", "conv3"]
    expected = NumpyResNet(model, (1, 2), convolutions, 2, stem=STEM, strided="conv2", pool=pool)(x)
    assert error(array(model(x)), expected) < 1e-5


@pytest.mark.parametrize(("size", "pixels"), [(33, 1), (64, 2), (67, 3)])
def test_sizes_of_the_feature_map(size: int, pixels: int) -> None:
    model = SENet((1,) * 4, filters=(1,) * 4, groups=1, include_top=False, input_shape=(size, size, 3))
    assert model.output_shape == (None, pixels, pixels, 4)


# Its convolutions


def test_the_convolutions_of_a_stage_that_strides() -> None:
    model = standard()
    assert convolution(model, "stage2_block1_conv1") == (8, (1, 1), (1, 1), 1)
    assert convolution(model, "stage2_block1_conv2") == (16, (3, 3), (2, 2), 4)
    assert convolution(model, "stage2_block1_conv3") == (16, (1, 1), (1, 1), 1)
    assert convolution(model, "stage2_block1_shortcut") == (16, (3, 3), (2, 2), 1)
    assert convolution(model, "stage2_block2_conv2") == (16, (3, 3), (1, 1), 4)


def test_the_shortcut_of_the_first_stage_is_a_1x1() -> None:
    # The stem has twice the filters of the stage, its output four times as many.
    assert convolution(standard(), "stage1_block1_shortcut") == (8, (1, 1), (1, 1), 1)


def test_the_deep_stem() -> None:
    model = standard()
    assert [convolution(model, name) for name in STEM] == [
        (2, (3, 3), (2, 2), 1),
        (2, (3, 3), (1, 1), 1),
        (4, (3, 3), (1, 1), 1),
    ]


# Where SE sits

PLACES = {
    "standard": [
        ("stage1_block1", "stage1_block1_conv3_bn", {"stage1_block1_add"}, 8),
        ("stage2_block1", "stage2_block1_conv3_bn", {"stage2_block1_add"}, 16),
        ("stage2_block2", "stage2_block2_conv3_bn", {"stage2_block2_add"}, 16),
    ],
    "pre": [
        ("stage1_block1", "stem_pool", {"stage1_block1_conv1"}, 4),
        ("stage2_block1", "stage1_block1_relu", {"stage2_block1_conv1"}, 8),
        ("stage2_block2", "stage2_block1_relu", {"stage2_block2_conv1"}, 16),
    ],
    "post": [
        ("stage1_block1", "stage1_block1_relu", {"stage2_block1_conv1", "stage2_block1_shortcut_pad"}, 8),
        ("stage2_block1", "stage2_block1_relu", {"stage2_block2_conv1", "stage2_block2_add"}, 16),
        ("stage2_block2", "stage2_block2_relu", {"avg_pool"}, 16),
    ],
    "identity": [
        ("stage1_block1", "stage1_block1_shortcut_bn", {"stage1_block1_add"}, 8),
        ("stage2_block1", "stage2_block1_shortcut_bn", {"stage2_block1_add"}, 16),
        ("stage2_block2", "stage2_block1_relu", {"stage2_block2_add"}, 16),
    ],
    "3x3": [
        ("stage1_block1", "stage1_block1_conv2_relu", {"stage1_block1_conv3"}, 8),
        ("stage2_block1", "stage2_block1_conv2_relu", {"stage2_block1_conv3"}, 16),
        ("stage2_block2", "stage2_block2_conv2_relu", {"stage2_block2_conv3"}, 16),
    ],
}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    check_placements(small(placement=placement), PLACES[placement])


# What it is called


def test_layers_are_named_after_their_place() -> None:
    block = ["conv1", "conv1_bn", "conv1_relu", "conv2", "conv2_bn", "conv2_relu", "conv3", "conv3_bn"]
    first = [f"stage1_block1_{name}" for name in [*block, "shortcut", "shortcut_bn", "se", "add", "relu"]]
    stem = ["image", "stem_conv1_pad", *(f"{name}{end}" for name in STEM for end in ("", "_bn", "_relu")), "stem_pool"]
    names = [layer.name for layer in small(depths=(1,), filters=(2,)).layers]
    assert sorted(names) == sorted([*stem, *first, "avg_pool", "dropout", "predictions"])


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_dropout_before_the_classifier(rate: float) -> None:
    layers = [layer for layer in small(dropout=rate).layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in layers] == ([rate] if rate else [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 0}, r"^groups must be a positive integer\. Received: groups=0$"),
        ({"groups": "4"}, r"^groups must be a positive integer\. Received: groups='4'$"),
        ({"groups": 3}, r"^groups must divide .* stage1_block1_conv2, 4 and 8\. Received: groups=3$"),
        ({"filters": (4,)}, r"^depths and filters must have .* Received: depths=\(1, 2\), filters=\(4,\)$"),
        ({"filters": ("a", 4)}, r"^filters must be a positive integer\. Received: filters='a'$"),
        ({"dropout": 1.0}, r"^dropout must be a number from 0 to below 1\. Received: dropout=1.0$"),
        ({"stem": "x"}, r"^stem must be .* Received: stem='x'$"),
        ({"pool": "x"}, r"^pool must be one of 'ceil', 'padded'\. Received: pool='x'$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"input_shape": (31, 32, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(31, 32, 3\)$"),
        (
            {"stem": "small", "input_shape": (8, 7, 3)},
            r"^input_shape must be .* 8x8 pixels .* shape \(8, 7, 3\)$",
        ),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
