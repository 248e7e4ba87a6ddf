"""SE-ResNet: what it computes, where SE sits, and what its layers are called."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models import SEResNet, SEResNet50
from tests.support.arrays import array, error, randomise
from tests.support.numpy_networks import (
    NumpyResNet,
    check_placements,
    feeds,
    graphs_only,
    max_pool_padded,
    readers,
    se_layers,
)

BRANCH = {"basic": ["conv1", "conv2"], "bottleneck": ["conv1", "conv2", "conv3"]}


def small(**options: Any) -> keras.Model:
    """Two stages with one and two blocks of a few channels."""
    return SEResNet(**({"depths": (1, 2), "filters": (4, 8), "input_shape": (32, 32, 3), "classes": 5} | options))


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


DEEP = ("stem_conv1", "stem_conv2", "stem_conv3")
# The options of each form, and what is different for NumPy.
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "v1.5": ({"stride_in": "3x3", "pool": "padded"}, {"strided": "conv2", "pool": max_pool_padded}),
    "D": (
        {"stride_in": "3x3", "pool": "padded", "stem": "deep", "shortcut": "average"},
        {"strided": "conv2", "pool": max_pool_padded, "stem": DEEP, "shortcut": "average"},
    ),
    "ResNeXt": ({"width": 2, "groups": 4, "stride_in": "3x3"}, {"strided": "conv2"}),
    "legacy": ({"block": "basic", "branch_relu": True}, {"branch_relu": True}),
    "averages in basic blocks": ({"block": "basic", "shortcut": "average"}, {"shortcut": "average"}),
}


@pytest.mark.parametrize(("form", "size"), [*((form, (37, 34)) for form in FORMS), ("D", (32, 36))])
def test_other_forms_compute_what_numpy_computes(form: str, size: tuple[int, int]) -> None:
    options, different = FORMS[form]
    model = small(input_shape=(*size, 3), include_top=False, r=2, **options)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    expected = NumpyResNet(model, (1, 2), BRANCH[options.get("block", "bottleneck")], 2, **different)(x)
    assert error(array(model(x)), expected) < 1e-5


@pytest.mark.parametrize(
    ("size", "block", "filters"),
    [((8, 9), "basic", (3, 8)), ((13, 10), "basic", (4, 4)), ((13, 10), "bottleneck", (4, 8))],
)
def test_shortcuts_of_zeros_compute_what_numpy_computes(
    size: tuple[int, int], block: str, filters: tuple[int, int]
) -> None:
    options = {"block": block, "filters": filters, "stem": "small", "shortcut": "zeros"}
    model = small(input_shape=(*size, 3), include_top=False, r=2, **options)
    assert not any("shortcut" in weight.path for weight in model.weights)
    randomise(model)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    expected = NumpyResNet(model, (1, 2), BRANCH[block], stem_stride=1, shortcut="zeros")(x)
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
    check_placements(small(placement=placement), PLACES[placement])


def test_placement_pre_leaves_the_shortcut_alone() -> None:
    model = small(placement="pre")
    assert feeds(model, "stage2_block1_shortcut") == ["stage1_block1_relu"]
    assert set(feeds(model, "stage2_block2_add")) == {"stage2_block2_conv3_bn", "stage2_block1_relu"}


def test_the_placement_within_a_basic_block() -> None:
    model = small(placement="3x3", block="basic")
    assert feeds(model, "stage2_block1_se") == ["stage2_block1_conv1_relu"]
    assert readers(model, "stage2_block1_se") == {"stage2_block1_conv2"}


@graphs_only
def test_se_in_every_block_of_a_named_network() -> None:
    blocks = [
        f"stage{stage}_block{block}" for stage, depth in enumerate((3, 4, 6, 3), 1) for block in range(1, depth + 1)
    ]
    model = SEResNet50(input_shape=(32, 32, 3))
    assert model.name == "se_resnet50"
    assert sorted(se_layers(model)) == sorted(f"{block}_se" for block in blocks)
    assert all(feeds(model, f"{block}_se") == [f"{block}_conv3_bn"] for block in blocks)


def test_only_the_first_convolution_of_a_stage_strides() -> None:
    model = SEResNet((2, 2), filters=(4, 8), input_shape=(32, 32, 3))
    strided = {x.name for x in model.layers if isinstance(x, keras.layers.Conv2D) and x.strides == (2, 2)}
    assert strided == {"stem_conv", "stage2_block1_conv1", "stage2_block1_shortcut"}


def test_no_convolution_has_a_bias() -> None:
    assert not any(layer.use_bias for layer in small().layers if isinstance(layer, keras.layers.Conv2D))


@pytest.mark.parametrize(
    ("stride_in", "block", "strided"),
    [
        ("1x1", "bottleneck", "conv1"),
        ("3x3", "bottleneck", "conv2"),
        ("1x1", "basic", "conv1"),
        ("3x3", "basic", "conv1"),
    ],
)
def test_which_convolution_of_a_branch_strides(stride_in: str, block: str, strided: str) -> None:
    model = small(stride_in=stride_in, block=block)
    strides = {x.name: x.strides for x in model.layers if isinstance(x, keras.layers.Conv2D) and "stem" not in x.name}
    assert {name for name, stride in strides.items() if stride == (2, 2)} == {
        f"stage2_block1_{strided}",
        "stage2_block1_shortcut",
    }


def test_widths_and_groups() -> None:
    model = small(width=2, groups=4)
    layers = [model.get_layer(f"stage2_block1_conv{i}") for i in (1, 2, 3)]
    assert [(layer.filters, layer.groups) for layer in layers] == [(16, 1), (16, 4), (32, 1)]


def test_a_relu_at_the_end_of_the_branch_comes_before_se() -> None:
    model = small(branch_relu=True)
    assert feeds(model, "stage1_block1_se") == ["stage1_block1_conv3_relu"]
    assert feeds(model, "stage1_block1_conv3_relu") == ["stage1_block1_conv3_bn"]
    assert readers(model, "stage1_block1_se") == {"stage1_block1_add"}


def test_relu_at_the_end_leaves_se_within_a_basic_block() -> None:
    model = small(branch_relu=True, block="basic", placement="3x3")
    assert feeds(model, "stage1_block1_se") == ["stage1_block1_conv1_relu"]
    assert readers(model, "stage1_block1_se") == {"stage1_block1_conv2"}


def test_a_shortcut_of_zeros_is_excited_with_its_zeros() -> None:
    model = small(shortcut="zeros", placement="identity")
    assert feeds(model, "stage2_block1_se") == ["stage2_block1_shortcut_zeros"]
    assert feeds(model, "stage2_block1_shortcut_zeros") == ["stage2_block1_shortcut_stride"]
    assert feeds(model, "stage1_block1_shortcut_zeros") == ["stem_pool"]  # nothing strides there


@pytest.mark.parametrize("shortcut", ["average", "zeros"])
def test_channels_first(shortcut: str) -> None:
    options = {"shortcut": shortcut, "stem": "small"}
    last = small(input_shape=(9, 8, 3), **options)
    randomise(last)
    keras.config.set_image_data_format("channels_first")
    first = small(input_shape=(3, 9, 8), **options)
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in last.weights]
    assert first.get_layer("stage2_block2_add").output.shape == (None, 32, 5, 4)
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first convolution on a CPU: built, not run")
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype("float32")
    assert error(array(first(np.moveaxis(x, -1, 1))), array(last(x))) < 1e-5


# What it is called


def test_layers_are_named_after_their_place() -> None:
    block = ["conv1", "conv1_bn", "conv1_relu", "conv2", "conv2_bn", "conv2_relu", "conv3", "conv3_bn"]
    stem = ["image", "stem_conv_pad", "stem_conv", "stem_conv_bn", "stem_conv_relu", "stem_pool"]
    first = [f"stage1_block1_{name}" for name in [*block, "shortcut", "shortcut_bn", "se", "add", "relu"]]
    model = SEResNet((1,), filters=(4,), input_shape=(32, 32, 3))
    assert sorted(layer.name for layer in model.layers) == sorted([*stem, *first, "avg_pool", "predictions"])


def test_the_name_of_the_model() -> None:
    assert small().name == "se_resnet"
    assert small(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "x"}, r"^block must be .* Received: block='x'$"),
        ({"stem": "x"}, r"^stem must be .* Received: stem='x'$"),
        ({"filters": (4,)}, r"^depths and filters must have .* Received: depths=\(1, 2\), filters=\(4,\)$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"filters": 4}, r"^filters must be .* Received: filters=4$"),
        ({"filters": (4, 0)}, r"^filters must be a positive integer\. Received: filters=0$"),
        ({"depths": (1, 2.0)}, r"^depths must be a positive integer\. Received: depths=2.0$"),
        ({"depths": 2}, r"^depths must be .* Received: depths=2$"),
        ({"depths": (), "filters": ()}, r"^depths must be .* Received: depths=\(\)$"),
        ({"width": 0}, r"^width must be a positive integer\. Received: width=0$"),
        ({"groups": True}, r"^groups must be a positive integer\. Received: groups=True$"),
        ({"groups": 3}, r"^groups must divide the channels .* stage1_block1_conv2, .* Received: groups=3$"),
        (
            {"width": 2, "block": "basic"},
            r"^block='basic' requires width=1 .*\. Received: width=2, groups=1$",
        ),
        (
            {"groups": 2, "block": "basic"},
            r"^block='basic' requires width=1 .*\. Received: width=1, groups=2$",
        ),
        ({"stride_in": "2x2"}, r"^stride_in must be one of '1x1', '3x3'\. Received: stride_in='2x2'$"),
        ({"pool": "x"}, r"^pool must be one of 'ceil', 'padded'\. Received: pool='x'$"),
        ({"shortcut": "x"}, r"^shortcut must be .* Received: shortcut='x'$"),
        ({"shortcut": "zeros", "filters": (8, 4)}, r"^shortcut=\"zeros\" requires stages .* Received: 16 after 32$"),
        ({"stem": "small", "input_shape": (7, 8, 3)}, r"^input_shape must be .* 8x8 pixels .* shape \(7, 8, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
