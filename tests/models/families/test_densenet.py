"""SE-DenseNet: where SE sits, how channels and sizes go on, and what its layers are called."""

from functools import cache
from typing import Any

import keras
import pytest

from keras_se import SqueezeExcite
from keras_se.models import SEDenseNet
from tests.support.numpy_networks import check_placements, feeds, graphs_only, se_layers

pytestmark = graphs_only


def small(**options: Any) -> keras.Model:
    """Dense blocks of two and three layers that add 4 channels each."""
    return SEDenseNet(**({"depths": (2, 3), "growth": 4, "input_shape": (32, 32, 3), "classes": 5} | options))


@cache
def open_sized() -> keras.Model:
    """For images of every size."""
    return small(depths=(1, 1), r=None, input_shape=(None, None, 3))


def channels(model: keras.Model, name: str) -> int:
    return model.get_layer(name).output.shape[-1]


# Where SE sits

PLACES = {
    "standard": [
        ("stage1", "stage1_block2_concat", {"transition1_bn"}, 16),
        ("transition1", "transition1_pool", {"stage2_block1_pre_bn", "stage2_block1_concat"}, 8),
        ("stage2", "stage2_block3_concat", {"final_bn"}, 20),
    ],
    "3x3": [
        (block, f"{block}_conv2", {f"{block}_concat"}, 4)
        for block in ("stage1_block1", "stage1_block2", "stage2_block1", "stage2_block2", "stage2_block3")
    ],
}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    check_placements(small(placement=placement), PLACES[placement])


@pytest.mark.parametrize(("placement", "stages"), [("standard", [1, 1, 2]), ("3x3", [1, 1, 2, 2, 2])])
def test_se_is_asked_for_with_the_stage(placement: str, stages: list[int]) -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite | None:
        asked.append(stage)
        return SqueezeExcite(2) if stage == 2 else None

    model = small(se=se, placement=placement, r=None)
    assert asked == stages
    assert se_layers(model) == [name for name in se_layers(model) if name.startswith("stage2_")] != []


# Channels and sizes


def test_a_layer_adds_to_all_that_it_gets() -> None:
    model = small(r=None)
    assert feeds(model, "stage1_block1_concat") == ["stem_pool", "stage1_block1_conv2"]
    assert feeds(model, "stage1_block2_concat") == ["stage1_block1_concat", "stage1_block2_conv2"]
    assert feeds(model, "stage1_block2_pre_bn") == ["stage1_block1_concat"]
    assert [channels(model, f"stage1_block2_{name}") for name in ("conv1", "conv2", "concat")] == [16, 4, 16]


def test_a_transition_halves_channels() -> None:
    model = small(depths=(1, 2, 1), growth=3, r=None)
    # The stem has twice the growth; an odd number of channels is rounded down.
    expected = {"stem_conv": 6, "transition1_bn": 9, "transition1_conv": 4, "transition2_bn": 10, "transition2_conv": 5}
    assert {name: channels(model, name) for name in expected} == expected
    assert channels(model, "final_relu") == 8


@pytest.mark.parametrize(("size", "sizes"), [(32, (8, 4)), (33, (9, 4)), (37, (10, 5)), (45, (12, 6)), (46, (12, 6))])
def test_sizes(size: int, sizes: tuple[int, int]) -> None:
    model = open_sized()
    maps = keras.Model(model.inputs, [model.get_layer(name).output for name in ("stem_pool", "final_bn")])
    shapes = maps.compute_output_shape((1, size, 32, 3))
    assert tuple(shape[1] for shape in shapes) == sizes
    assert tuple(shape[2] for shape in shapes) == (8, 4)


# What it is called


def test_layers_are_named_after_their_place() -> None:
    layer = ["pre_bn", "pre_relu", "conv1", "conv1_bn", "conv1_relu", "conv2", "concat"]
    expected = [f"stage{stage}_block1_{name}" for stage in (1, 2) for name in layer]
    expected += [f"transition1_{name}" for name in ("bn", "relu", "conv", "pool", "se")]
    expected += ["image", "stem_conv_pad", "stem_conv", "stem_conv_bn", "stem_conv_relu", "stem_pool_pad", "stem_pool"]
    expected += ["stage1_se", "stage2_se", "final_bn", "final_relu", "avg_pool", "predictions"]
    assert sorted(layer.name for layer in small(depths=(1, 1)).layers) == sorted(expected)


def test_one_dense_block_has_no_transition() -> None:
    assert se_layers(small(depths=(1,))) == ["stage1_se"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": ()}, r"^depths must be a list of positive integers, one for each stage\. Received: depths=\(\)$"),
        ({"depths": 2}, r"^depths must be a list of positive integers, one for each stage\. Received: depths=2$"),
        ({"depths": (1, 0)}, r"^depths must be a positive integer\. Received: depths=0$"),
        ({"growth": 0}, r"^growth must be a positive integer\. Received: growth=0$"),
        ({"growth": 4.0}, r"^growth must be a positive integer\. Received: growth=4.0$"),
        *[
            ({"placement": p}, rf"^placement must be one of .* Received: placement='{p}'$")
            for p in ("pre", "post", "identity")
        ],
        (
            {"depths": (1,) * 5, "input_shape": (63, 64, 3)},
            r"^input_shape must be .* 64x64 pixels .* shape \(63, 64, 3\)$",
        ),
        ({"input_shape": (32, 31, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(32, 31, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
