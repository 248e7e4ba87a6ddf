"""SE-ShuffleNet: its groups and widths, where SE sits, and what its layers are called."""

from functools import cache
from typing import Any

import keras
import pytest

from keras_se import SqueezeExcite
from keras_se.models import SEShuffleNet
from tests.support.numpy_networks import check_placements, feeds, graphs_only, readers

pytestmark = graphs_only

DEPTHS = (4, 8, 4)
STEM = 24
BLOCKS = [(stage, block) for stage, depth in enumerate(DEPTHS, 1) for block in range(1, depth + 1)]


def small(**options: Any) -> keras.Model:
    """Stages of 32, 64 and 128 channels."""
    return SEShuffleNet(**({"groups": 2, "alpha": 0.16, "input_shape": (32, 32, 3), "classes": 5} | options))


@cache
def plain() -> keras.Model:
    """Without SE, for every size."""
    return small(r=None, include_top=False, input_shape=(None, None, 3))


def name_of(stage: int, block: int) -> str:
    return f"stage{stage}_block{block}"


# Groups and widths


@pytest.mark.parametrize(
    ("groups", "widths"),  # table 1 of the paper
    [(1, (144, 288, 576)), (2, (200, 400, 800)), (3, (240, 480, 960)), (4, (272, 544, 1088)), (8, (384, 768, 1536))],
)
def test_groups_and_widths(groups: int, widths: tuple[int, ...]) -> None:
    model = SEShuffleNet(groups=groups, include_top=False, r=None)
    inputs = STEM
    for stage, block in BLOCKS:
        name, width = name_of(stage, block), widths[stage - 1]
        conv1, conv2 = model.get_layer(f"{name}_conv1"), model.get_layer(f"{name}_conv2")
        assert (conv1.filters, conv1.groups) == (width // 4, 1 if (stage, block) == (1, 1) else groups)
        assert (conv2.filters, conv2.groups) == (width - inputs if block == 1 else width, groups)
        assert model.get_layer(f"{name}_relu").output.shape[-1] == width
        inputs = width
    shuffles = [layer for layer in model.layers if layer.name.endswith("_shuffle")]
    assert [layer.groups for layer in shuffles] == ([] if groups == 1 else [groups] * len(BLOCKS))


@pytest.mark.parametrize(("groups", "alpha", "width"), [(8, 0.02, 32)])
def test_a_narrow_network_still_falls_into_groups(groups: int, alpha: float, width: int) -> None:
    model = SEShuffleNet(groups=groups, alpha=alpha, include_top=False, r=None)
    outputs = [model.get_layer(f"{name_of(stage, 1)}_relu").output.shape[-1] for stage in (1, 2, 3)]
    assert outputs == [width, 2 * width, 4 * width]


@pytest.mark.parametrize(("size", "sizes"), [(33, (8, 4, 2, 1)), (45, (11, 6, 3, 2))])
def test_sizes(size: int, sizes: tuple[int, ...]) -> None:
    names = ["stem_pool", *(f"{name_of(stage, depth)}_relu" for stage, depth in enumerate(DEPTHS, 1))]
    maps = keras.Model(plain().inputs, [plain().get_layer(name).output for name in names])
    assert tuple(shape[1] for shape in maps.compute_output_shape((1, size, 32, 3))) == sizes


# Where SE sits


def places(placement: str) -> list[tuple[str, str, set[str], int]]:
    found, inputs, previous = [], STEM, "stem_pool"
    for i, (stage, block) in enumerate(BLOCKS):
        name, width = name_of(stage, block), 32 * 2 ** (stage - 1)
        joint = f"{name}_concat" if block == 1 else f"{name}_add"
        following = {"avg_pool"}
        if i + 1 < len(BLOCKS):
            after = name_of(*BLOCKS[i + 1])
            following = {f"{after}_conv1", f"{after}_shortcut_pad" if BLOCKS[i + 1][1] == 1 else f"{after}_add"}
        found.append(
            {
                "standard": (name, f"{name}_conv2_bn", {joint}, width - inputs if block == 1 else width),
                "pre": (name, previous, {f"{name}_conv1"}, inputs),
                "post": (name, f"{name}_relu", following, width),
                "identity": (name, f"{name}_shortcut" if block == 1 else previous, {joint}, inputs),
                "3x3": (name, f"{name}_depthwise_bn", {f"{name}_conv2"}, width // 4),
            }[placement]
        )
        inputs, previous = width, f"{name}_relu"
    return found


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity", "3x3"])
def test_placements(placement: str) -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite:
        asked.append(stage)
        return SqueezeExcite(2)

    check_placements(small(placement=placement, se=se), places(placement))
    assert asked == [stage for stage, _ in BLOCKS]


# Its layers


def test_the_units() -> None:
    model = plain()
    unit = ["conv1", "conv1_bn", "conv1_relu", "shuffle", "depthwise", "depthwise_bn", "conv2", "conv2_bn"]
    for name, first, ends in [
        ("stage2_block1", "depthwise_pad", ["shortcut_pad", "shortcut", "concat"]),
        ("stage2_block2", "", ["add"]),
    ]:
        expected = {f"{name}_{part}" for part in [*unit, *ends, "relu", first] if part}
        assert {layer.name for layer in model.layers if layer.name.startswith(f"{name}_")} == expected
    # No ReLU after the depthwise convolution, nor before the addition.
    assert readers(model, "stage2_block2_depthwise_bn") == {"stage2_block2_conv2"}
    assert readers(model, "stage2_block2_conv2_bn") == {"stage2_block2_add"}
    assert feeds(model, "stage2_block2_depthwise") == ["stage2_block2_shuffle"]
    assert feeds(model, "stage2_block1_concat") == ["stage2_block1_shortcut", "stage2_block1_conv2_bn"]
    assert {x.name for x in model.layers if getattr(x, "strides", None) in (2, (2, 2))} == {
        *["stem_conv", "stem_pool"],
        *(f"stage{stage}_block1_{part}" for stage in (1, 2, 3) for part in ("depthwise", "shortcut")),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 5}, r"^groups must be one of 1, 2, 3, 4, 8\. Received: groups=5$"),
        ({"groups": 0}, r"^groups must be a positive integer\. Received: groups=0$"),
        ({"groups": 3.0}, r"^groups must be a positive integer\. Received: groups=3.0$"),
        ({"groups": True}, r"^groups must be a positive integer\. Received: groups=True$"),
        ({"alpha": 0}, r"^alpha must be a finite number greater than 0\. Received: alpha=0$"),
        ({"alpha": float("nan")}, r"^alpha must be a finite number greater than 0\. Received: alpha=nan$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"input_shape": (31, 32, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(31, 32, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
