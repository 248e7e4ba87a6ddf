"""SE-ResNet: what it computes, where SE sits, and what its layers are called."""

from typing import Any

import keras
import numpy as np
import pytest
from helpers import array, error, randomise
from numpy_network import NumpyResNet

from keras_se.models import SEResNet, SEResNet50

BRANCH = {"basic": ["conv1", "conv2"], "bottleneck": ["conv1", "conv2", "conv3"]}


def small(**options: Any) -> keras.Model:
    """Two stages with one and two blocks of a few channels."""
    return SEResNet((1, 2), **({"filters": (4, 8), "input_shape": (32, 32, 3), "classes": 5} | options))


def feeds(model: keras.Model, name: str) -> list[str]:
    """The layers whose outputs a layer reads."""
    inputs = model.get_layer(name).input
    return [x._keras_history.operation.name for x in (inputs if isinstance(inputs, list) else [inputs])]


def readers(model: keras.Model, name: str) -> set[str]:
    return {node.operation.name for node in model.get_layer(name)._outbound_nodes}


def se_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name.endswith("_se")]


# What it computes


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (45, 38)])
@pytest.mark.parametrize("block", ["bottleneck", "basic"])
def test_computes_what_numpy_computes(block: str, size: tuple[int, int]) -> None:
    model = small(block=block, input_shape=(*size, 3), include_top=False, r=2)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    expected = NumpyResNet(model, (1, 2), BRANCH[block], stem_stride=2)(x)
    assert error(array(model(x)), expected) < 1e-5


@pytest.mark.parametrize("size", [(8, 8), (13, 10)])
def test_computes_what_numpy_computes_with_the_small_stem(size: tuple[int, int]) -> None:
    model = small(stem="small", input_shape=(*size, 3), include_top=False, r=2)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    expected = NumpyResNet(model, (1, 2), BRANCH["bottleneck"], stem_stride=1)(x)
    assert error(array(model(x)), expected) < 1e-5


def test_a_network_of_unknown_size_computes_the_same() -> None:
    unknown = small(input_shape=(None, None, 3), include_top=False)
    randomise(unknown)
    for size in [(32, 32), (33, 33), (45, 38), (64, 47)]:
        known = small(input_shape=(*size, 3), include_top=False)
        known.set_weights(unknown.get_weights())
        x = np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32")
        assert error(array(unknown(x)), array(known(x))) < 1e-6


@pytest.mark.parametrize(
    ("stem", "size", "pixels"),
    [
        ("imagenet", 32, 1),
        ("imagenet", 33, 1),
        ("imagenet", 45, 2),
        ("imagenet", 64, 2),
        ("imagenet", 224, 7),
        ("small", 8, 1),
        ("small", 32, 4),
        ("small", 33, 5),
    ],
)
def test_sizes_of_the_feature_map(stem: str, size: int, pixels: int) -> None:
    options = {"filters": (1, 1, 1, 1), "stem": stem, "include_top": False, "input_shape": (size, size, 3)}
    assert SEResNet((1, 1, 1, 1), **options).output_shape == (None, pixels, pixels, 4)


# Where SE sits

PLACES = {
    "standard": [
        ("stage1_block1", "stage1_block1_conv3_bn", {"stage1_block1_add"}, 16),
        ("stage2_block1", "stage2_block1_conv3_bn", {"stage2_block1_add"}, 32),
        ("stage2_block2", "stage2_block2_conv3_bn", {"stage2_block2_add"}, 32),
    ],
    "pre": [
        ("stage1_block1", "stem_pool", {"stage1_block1_conv1"}, 4),
        ("stage2_block1", "stage1_block1_relu", {"stage2_block1_conv1"}, 16),
        ("stage2_block2", "stage2_block1_relu", {"stage2_block2_conv1"}, 32),
    ],
    "post": [
        ("stage1_block1", "stage1_block1_relu", {"stage2_block1_conv1", "stage2_block1_shortcut"}, 16),
        ("stage2_block1", "stage2_block1_relu", {"stage2_block2_conv1", "stage2_block2_add"}, 32),
        ("stage2_block2", "stage2_block2_relu", {"avg_pool"}, 32),
    ],
    "identity": [
        ("stage1_block1", "stage1_block1_shortcut_bn", {"stage1_block1_add"}, 16),
        ("stage2_block1", "stage2_block1_shortcut_bn", {"stage2_block1_add"}, 32),
        ("stage2_block2", "stage2_block1_relu", {"stage2_block2_add"}, 32),
    ],
    "3x3": [
        ("stage1_block1", "stage1_block1_conv2_relu", {"stage1_block1_conv3"}, 4),
        ("stage2_block1", "stage2_block1_conv2_relu", {"stage2_block1_conv3"}, 8),
        ("stage2_block2", "stage2_block2_conv2_relu", {"stage2_block2_conv3"}, 8),
    ],
}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    model = small(placement=placement)
    assert sorted(se_layers(model)) == [f"{block}_se" for block, *_ in PLACES[placement]]
    for block, before, after, channels in PLACES[placement]:
        assert feeds(model, f"{block}_se") == [before]
        assert readers(model, f"{block}_se") == after
        assert model.get_layer(f"{block}_se").output.shape[-1] == channels


def test_the_placement_before_the_branch_leaves_the_shortcut_alone() -> None:
    model = small(placement="pre")
    assert feeds(model, "stage2_block1_shortcut") == ["stage1_block1_relu"]
    assert set(feeds(model, "stage2_block2_add")) == {"stage2_block2_conv3_bn", "stage2_block1_relu"}


def test_the_placement_within_a_basic_block() -> None:
    model = small(placement="3x3", block="basic")
    assert feeds(model, "stage2_block1_se") == ["stage2_block1_conv1_relu"]
    assert readers(model, "stage2_block1_se") == {"stage2_block1_conv2"}


def test_se_in_every_block_of_a_named_network() -> None:
    blocks = [
        f"stage{stage}_block{block}" for stage, depth in enumerate((3, 4, 6, 3), 1) for block in range(1, depth + 1)
    ]
    model = SEResNet50(input_shape=(32, 32, 3))
    assert sorted(se_layers(model)) == sorted(f"{block}_se" for block in blocks)
    assert all(feeds(model, f"{block}_se") == [f"{block}_conv3_bn"] for block in blocks)


def test_only_the_first_convolution_of_a_stage_strides() -> None:
    model = SEResNet((2, 2), filters=(4, 8), input_shape=(32, 32, 3))
    strided = {x.name for x in model.layers if isinstance(x, keras.layers.Conv2D) and x.strides == (2, 2)}
    assert strided == {"stem_conv", "stage2_block1_conv1", "stage2_block1_shortcut"}


def test_no_convolution_has_a_bias() -> None:
    assert not any(layer.use_bias for layer in small().layers if isinstance(layer, keras.layers.Conv2D))


# What it is called


def test_layers_are_named_after_their_place() -> None:
    block = ["conv1", "conv1_bn", "conv1_relu", "conv2", "conv2_bn", "conv2_relu", "conv3", "conv3_bn"]
    stem = ["image", "stem_conv_pad", "stem_conv", "stem_conv_bn", "stem_conv_relu", "stem_pool"]
    first = [f"stage1_block1_{name}" for name in [*block, "shortcut", "shortcut_bn", "se", "add", "relu"]]
    model = SEResNet((1,), filters=(4,), input_shape=(32, 32, 3))
    assert sorted(layer.name for layer in model.layers) == sorted([*stem, *first, "avg_pool", "predictions"])


def test_the_model_has_the_name_of_its_depth() -> None:
    assert SEResNet50(input_shape=(32, 32, 3)).name == "se_resnet50"
    assert SEResNet50(input_shape=(32, 32, 3), name="mine").name == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "x"}, r"^block must be .* Received: block='x'$"),
        ({"stem": "x"}, r"^stem must be .* Received: stem='x'$"),
        ({"filters": (4,)}, r"^depths and filters must have .* Received: depths=\(1, 2\), filters=\(4,\)$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"stem": "small", "input_shape": (7, 8, 3)}, r"^input_shape must be .* 8x8 pixels .* shape \(7, 8, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
