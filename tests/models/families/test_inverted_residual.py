"""SE-MobileNetV2 and V3: widths, which blocks have SE, where it sits there, and what its layers are called."""

from functools import cache, partial
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite
from keras_se.models import SEMobileNetV2, SEMobileNetV3
from keras_se.models._shared.excite import excite
from keras_se.models._shared.inverted_residual import inverted_residual
from tests.support.arrays import array, error, randomise
from tests.support.numpy_networks import check_placements, feeds, graphs_only, readers, se_layers

pytestmark = graphs_only

SIZES = ["small", "large"]


def v2(**options: Any) -> keras.Model:
    return SEMobileNetV2(**({"alpha": 0.35, "input_shape": (32, 32, 3), "classes": 5} | options))


def v3(variant: str, **options: Any) -> keras.Model:
    return SEMobileNetV3(variant, **({"alpha": 0.25, "input_shape": (32, 32, 3), "classes": 5} | options))


@cache
def plain_v2(alpha: float = 0.35) -> keras.Model:
    return v2(alpha=alpha, r=None, include_top=False, input_shape=(45, 38, 3))


@cache
def published(variant: str) -> keras.Model:
    """Of full width, without its classifier."""
    return SEMobileNetV3(variant, include_top=False)


def blocks_of(depths: tuple[int, ...]) -> list[str]:
    return [f"stage{stage}_block{block}" for stage, depth in enumerate(depths, 1) for block in range(1, depth + 1)]


def channels(model: keras.Model, name: str) -> int:
    return model.get_layer(name).output.shape[-1]


# MobileNetV2: table 2 of the paper

V2_DEPTHS = (1, 2, 3, 4, 3, 3, 1)
V2_BLOCKS = blocks_of(V2_DEPTHS)
# The widths of the stem, the stages, and the last convolution: multiples of 8, none less than 90 % of what was asked.
V2_WIDTHS = {
    0.35: (16, (8, 8, 16, 24, 32, 56, 112), 1280),
    1.4: (48, (24, 32, 48, 88, 136, 224, 448), 1792),
}


@pytest.mark.parametrize("alpha", V2_WIDTHS)
def test_widths_of_mobilenet_v2(alpha: float) -> None:
    model = plain_v2(alpha)
    inputs, stages, last = V2_WIDTHS[alpha]
    assert (channels(model, "stem_conv"), channels(model, "final_conv")) == (inputs, last)
    for name in V2_BLOCKS:
        if name != "stage1_block1":
            assert channels(model, f"{name}_expand") == 6 * inputs
            assert channels(model, f"{name}_depthwise") == 6 * inputs
        inputs = stages[int(name[5]) - 1]
        assert channels(model, f"{name}_project") == inputs


def v2_places(placement: str) -> list[tuple[str, str, set[str], int]]:
    """Those of alpha = 0.35."""
    stem, widths, _ = V2_WIDTHS[0.35]
    found, previous, inputs = [], "stem_conv_relu", stem
    for i, name in enumerate(V2_BLOCKS):
        stage, filters = int(name[5]), widths[int(name[5]) - 1]
        # Stages 1, 5 and 7 keep the size; a shortcut needs equal channels, too.
        shortcut = filters == inputs and (not name.endswith("_block1") or stage in (1, 5, 7))
        expanded = inputs if i == 0 else 6 * inputs
        first = f"{name}_depthwise" if i == 0 else f"{name}_expand"
        end = f"{name}_add" if shortcut else f"{name}_project_bn"
        following = {"final_conv"}
        if i + 1 < len(V2_BLOCKS):
            after = V2_BLOCKS[i + 1]
            following = {f"{after}_expand"} | ({f"{after}_add"} if not after.endswith("_block1") else set())
        if placement == "standard":
            found.append((name, f"{name}_depthwise_relu", {f"{name}_project"}, expanded))
        elif placement == "pre":
            found.append((name, previous, {first}, inputs))
        elif shortcut and placement == "post":
            found.append((name, end, following, filters))
        previous, inputs = end, filters
    return found


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_placements_in_mobilenet_v2(placement: str) -> None:
    places = v2_places(placement)
    assert len(places) == (10 if placement == "post" else 17)
    check_placements(v2(placement=placement), places)


BLOCK_PLACES = {
    "standard": ("block_depthwise_relu", {"block_project"}),
    "3x3": ("block_depthwise_relu", {"block_project"}),
    "pre": ("image", {"block_expand"}),
    "post": ("block_add", set()),
    "identity": ("image", {"block_add"}),
}


@pytest.mark.parametrize("placement", BLOCK_PLACES)
@pytest.mark.parametrize(("filters", "stride"), [(4, 1), (4, 2), (6, 1)])
def test_placements_in_a_block(placement: str, filters: int, stride: int) -> None:
    image = keras.Input((8, 8, 4), name="image")
    se = partial(excite(2, None, placement), stage=1, name="block")
    y = inverted_residual(image, 12, filters, 3, stride, activation="relu6", se=se, name="block")
    model = keras.Model(image, y)
    if (filters, stride) == (4, 1):
        before, after = BLOCK_PLACES[placement]
        check_placements(model, [("block", before, after, 12 if "depthwise" in before else 4)])
    else:  # no shortcut, and nothing after it
        assert se_layers(model) == (["block_se"] if placement in ("standard", "3x3", "pre") else [])
        assert y.shape == (None, 8 // stride, 8 // stride, filters)


def test_se_by_stage_in_mobilenet_v2() -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite | None:
        asked.append(stage)
        return SqueezeExcite(2) if stage in (1, 2) else None

    model = v2(se=se)
    check_placements(model, v2_places("standard")[:3])
    assert asked == [int(name[5]) for name in V2_BLOCKS]
    assert [layer.name for layer in model.layers][-2:] == ["avg_pool", "predictions"]


def test_the_blocks_of_mobilenet_v2() -> None:
    model = plain_v2()
    parts = [f"{part}{end}" for part in ("expand", "depthwise") for end in ("", "_bn", "_relu")]
    parts += ["project", "project_bn"]
    names = {layer.name for layer in model.layers}
    for name, own in [
        ("stage1_block1", parts[3:]),
        ("stage2_block1", parts),
        ("stage2_block2", [*parts, "add"]),
        ("stage5_block1", parts),
    ]:
        assert {found for found in names if found.startswith(f"{name}_")} == {f"{name}_{part}" for part in own}
    # No ReLU after the projection or the addition.
    assert readers(model, "stage2_block1_project_bn") == {"stage2_block2_expand", "stage2_block2_add"}
    assert readers(model, "stage2_block2_add") == {"stage3_block1_expand"}
    activations = {layer.activation for layer in model.layers if layer.name.endswith("_relu")}
    assert activations == {keras.activations.relu6}
    assert {x.epsilon for x in model.layers if isinstance(x, keras.layers.BatchNormalization)} == {1e-3}
    strided = {x.name for x in model.layers if getattr(x, "strides", None) in (2, (2, 2))}
    assert strided == {"stem_conv", *(f"stage{stage}_block1_depthwise" for stage in (2, 3, 4, 6))}
    shapes = [model.get_layer(f"stage{stage}_block1_project").output.shape[1:3] for stage in range(1, 8)]
    assert shapes == [(23, 19), (12, 10), (6, 5), (3, 3), (3, 3), (2, 2), (2, 2)]
    others = {name for name in names if not name.startswith("stage")}
    both = {f"{name}{end}" for name in ("stem_conv", "final_conv") for end in ("", "_bn", "_relu")}
    assert others == {"image", *both}


# MobileNetV3: tables 1 and 2 of the paper, a row for each block: kernel, expanded width, width, SE, activation, stride

V3_ROWS = {
    "small": {
        "stage1_block1": (3, 16, 16, True, "relu", 2),
        "stage2_block1": (3, 72, 24, False, "relu", 2),
        "stage2_block2": (3, 88, 24, False, "relu", 1),
        "stage3_block1": (5, 96, 40, True, "hard_swish", 2),
        "stage3_block2": (5, 240, 40, True, "hard_swish", 1),
        "stage3_block3": (5, 240, 40, True, "hard_swish", 1),
        "stage4_block1": (5, 120, 48, True, "hard_swish", 1),
        "stage4_block2": (5, 144, 48, True, "hard_swish", 1),
        "stage5_block1": (5, 288, 96, True, "hard_swish", 2),
        "stage5_block2": (5, 576, 96, True, "hard_swish", 1),
        "stage5_block3": (5, 576, 96, True, "hard_swish", 1),
    },
    "large": {
        "stage1_block1": (3, 16, 16, False, "relu", 1),
        "stage2_block1": (3, 64, 24, False, "relu", 2),
        "stage2_block2": (3, 72, 24, False, "relu", 1),
        "stage3_block1": (5, 72, 40, True, "relu", 2),
        "stage3_block2": (5, 120, 40, True, "relu", 1),
        "stage3_block3": (5, 120, 40, True, "relu", 1),
        "stage4_block1": (3, 240, 80, False, "hard_swish", 2),
        "stage4_block2": (3, 200, 80, False, "hard_swish", 1),
        "stage4_block3": (3, 184, 80, False, "hard_swish", 1),
        "stage4_block4": (3, 184, 80, False, "hard_swish", 1),
        "stage5_block1": (3, 480, 112, True, "hard_swish", 1),
        "stage5_block2": (3, 672, 112, True, "hard_swish", 1),
        "stage6_block1": (5, 672, 160, True, "hard_swish", 2),
        "stage6_block2": (5, 960, 160, True, "hard_swish", 1),
        "stage6_block3": (5, 960, 160, True, "hard_swish", 1),
    },
}
# A quarter of the expanded width, in multiples of 8: 16/4 becomes 8, and 72/4 = 18 becomes 24, as 16 is too little.
HIDDEN = {16: 8, 72: 24, 96: 24, 120: 32, 144: 40, 240: 64, 288: 72, 480: 120, 576: 144, 672: 168, 960: 240}


@pytest.mark.parametrize("variant", SIZES)
def test_the_blocks_of_mobilenet_v3(variant: str) -> None:
    model = published(variant)
    names = {layer.name for layer in model.layers}
    inputs = 16
    for name, (kernel, expanded, filters, _, activation, stride) in V3_ROWS[variant].items():
        depthwise = model.get_layer(f"{name}_depthwise")
        assert (depthwise.kernel_size, depthwise.strides) == ((kernel, kernel), (stride, stride))
        assert channels(model, f"{name}_depthwise") == expanded
        assert f"{name}_depthwise_{activation}" in names
        assert channels(model, f"{name}_project") == filters
        assert (f"{name}_add" in names) == (stride == 1 and inputs == filters)
        assert (f"{name}_expand_{activation}" in names) == (name != "stage1_block1")
        inputs = filters
    assert channels(model, "stem_conv") == 16
    assert channels(model, "final_conv") == 6 * inputs
    assert {"stem_conv_hard_swish", "final_conv_hard_swish"} <= names


@pytest.mark.parametrize("variant", SIZES)
def test_the_excitations_of_mobilenet_v3(variant: str) -> None:
    model = published(variant)
    places = []
    for name, (_, expanded, _, excited, activation, _) in V3_ROWS[variant].items():
        if excited:
            places.append((name, f"{name}_depthwise_{activation}", {f"{name}_project"}, expanded))
            layer = model.get_layer(f"{name}_se")
            assert layer.reduce_kernel.shape == (expanded, HIDDEN[expanded])
            assert layer.gate is keras.activations.hard_sigmoid
            assert layer.activation is keras.activations.relu
    check_placements(model, places)


def test_blocks_that_were_published_with_se_and_have_a_shortcut() -> None:
    blocks = ["stage3_block2", "stage3_block3", "stage4_block2", "stage5_block2", "stage5_block3"]
    assert se_layers(v3("small", alpha=1.0, placement="identity")) == [f"{name}_se" for name in blocks]


def check_head(model: keras.Model) -> None:
    head = ["avg_pool", "hidden", "hidden_hard_swish", "dropout", "logits", "flatten", "predictions"]
    assert [layer.name for layer in model.layers][-7:] == head
    assert model.get_layer("avg_pool").output.shape == (None, 1, 1, channels(model, "final_conv"))
    assert model.get_layer("dropout").rate == 0.1


def test_widths_are_multiples_of_8_and_se_may_be_everywhere() -> None:
    model = v3("small", alpha=0.5, r=8, everywhere=True, dropout_rate=0.1)
    assert se_layers(model) == [f"{name}_se" for name in V3_ROWS["small"]]
    assert channels(model, "stem_conv") == 16
    assert [channels(model, f"stage{s}_block1_project") for s in (1, 2, 3, 4, 5)] == [8, 16, 24, 24, 48]
    hidden = {name: model.get_layer(f"{name}_se").reduce_kernel.shape for name in ("stage1_block1", "stage5_block3")}
    assert hidden == {"stage1_block1": (16, 8), "stage5_block3": (288, 40)}  # 2 and 36 are no multiples
    assert (channels(model, "final_conv"), channels(model, "hidden")) == (288, 1024)
    check_head(model)


def test_the_minimalistic_form() -> None:
    model = v3("small", minimalistic=True)
    assert se_layers(model) == []
    assert se_layers(v3("small", minimalistic=True, everywhere=True)) == [f"{name}_se" for name in V3_ROWS["small"]]
    assert {x.kernel_size for x in model.layers if isinstance(x, keras.layers.DepthwiseConv2D)} == {(3, 3)}
    assert not any("hard_swish" in layer.name for layer in model.layers)
    assert {"stem_conv_relu", "final_conv_relu", "hidden_relu"} <= {layer.name for layer in model.layers}


def test_se_by_stage_in_mobilenet_v3() -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite | None:
        asked.append(stage)
        return SqueezeExcite(2) if stage == 4 else None

    model = v3("small", se=se)
    assert asked == [1, 3, 3, 3, 4, 4, 5, 5, 5]
    assert se_layers(model) == ["stage4_block1_se", "stage4_block2_se"]
    assert model.get_layer("stage4_block1_se").gate is keras.activations.sigmoid  # the layer's own, not the network's


def test_preprocessing() -> None:
    # Published with values from 0 to 255.
    with_it = v3("small", include_top=False, r=None)
    without = v3("small", include_top=False, r=None, include_preprocessing=False)
    assert se_layers(with_it) == []
    assert feeds(with_it, "stem_conv") == ["preprocessing"]
    assert feeds(without, "stem_conv") == ["image"]
    randomise(with_it)
    without.set_weights(with_it.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    assert error(array(with_it(x)), array(without(x / 127.5 - 1))) < 1e-4


@pytest.mark.parametrize(("size", "pixels"), [(32, 1), (33, 2), (45, 2), (96, 3), (97, 4), (None, None)])
def test_sizes_of_mobilenet_v3(size: int | None, pixels: int | None) -> None:
    assert published("small").compute_output_shape((1, size, size, 3)) == (1, pixels, pixels, 576)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "medium"}, r"^variant must be one of 'small', 'large'\. Received: variant='medium'$"),
        ({"alpha": 0}, r"^alpha must be a finite number greater than 0\. Received: alpha=0$"),
        ({"dropout_rate": 1}, r"^dropout_rate must be a number from 0 to below 1\. Received: dropout_rate=1$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"r": 0}, r"^r must be a positive integer\. Received: r=0$"),
        ({"input_shape": (31, 32, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(31, 32, 3\)$"),
    ],
)
def test_mobilenet_v3_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SEMobileNetV3(**({"variant": "small"} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": "1"}, r"^alpha must be a finite number greater than 0\. Received: alpha='1'$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"input_shape": (32, 31, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(32, 31, 3\)$"),
    ],
)
def test_mobilenet_v2_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        v2(**options)
