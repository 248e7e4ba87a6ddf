"""feature_pyramid: which maps it gives of each family, in which order, of which size and width."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import models
from keras_se.models import SEVGG, SEInceptionV3, SEMobileNetV2, SEResNet, feature_pyramid
from tests.support.arrays import array, error, randomise
from tests.support.cases import case
from tests.support.numpy_networks import feeds, graphs_only

pytestmark = graphs_only

resnet = partial(SEResNet, (1, 1, 1, 1), filters=(1, 2, 3, 4))
vgg = partial(SEVGG, (1,) * 5, filters=(1, 2, 3, 4, 5), hidden=2)

# How sizes go on


def up(size: int) -> int:
    """Half, rounded up: padded on both sides."""
    return -(-size // 2)


def down(size: int) -> int:
    """Half, rounded down: no padding, or only at the end."""
    return size // 2


def inner(size: int) -> int:
    """Every second of the windows of 3 that lie within."""
    return (size - 3) // 2 + 1


@dataclass(frozen=True)
class Family:
    """A narrow network, and what the pyramid takes from it.

    Attributes:
        build: Its builder.
        halvings: How the size goes from each level to the next.
        levels: Of each stride, the layer and its channels.
    """

    build: Callable[..., keras.Model]
    halvings: tuple[Callable[[int], int], ...]
    levels: dict[int, tuple[str, int]]

    def size(self, image: int, stride: int) -> int:
        for halving in self.halvings[: stride.bit_length() - 1]:
            image = halving(image)
        return image


FAMILIES = {
    "SEResNet": Family(
        resnet,
        (up, down, up, up, up),
        {
            2: ("stem_conv_relu", 1),
            **{2 ** (s + 1): (f"stage{s}_block1_relu", 4 * s) for s in (1, 2, 3, 4)},
        },
    ),
    "SENet": Family(
        partial(models.SENet, (1, 2, 1, 1), filters=(1, 2, 3, 4), groups=1),
        (up, down, up, up, up),
        {
            2: ("stem_conv3_relu", 2),
            4: ("stage1_block1_relu", 4),
            8: ("stage2_block2_relu", 8),
            16: ("stage3_block1_relu", 12),
            32: ("stage4_block1_relu", 16),
        },
    ),
    "SEPreActResNet": Family(
        partial(models.SEPreActResNet, (1, 2, 1), filters=(1, 2, 3)),
        (up, up),
        {1: ("stage1_block1_add", 4), 2: ("stage2_block2_add", 8), 4: ("final_relu", 12)},
    ),
    "SEVGG": Family(
        partial(vgg, include_top=False),
        (down,) * 5,
        {**{2 ** (s - 1): (f"stage{s}_block1_se", s) for s in (1, 2, 3, 4, 5)}, 32: ("stage5_pool", 5)},
    ),
    "SEDenseNet": Family(
        partial(models.SEDenseNet, (1, 2, 1, 1), growth=2),
        (up, up, down, down, down),
        {
            2: ("stem_conv_relu", 4),
            4: ("stage1_se", 6),
            8: ("stage2_se", 7),
            16: ("stage3_se", 5),
            32: ("final_relu", 4),
        },
    ),
    "SEBNInception": Family(
        partial(models.SEBNInception, alpha=1 / 32),
        (up, down, down, up, up),
        {
            2: ("stem_conv1_relu", 2),
            4: ("stem_conv3_relu", 6),
            8: ("stage1_block2_se", 10),
            16: ("stage2_block5_se", 19),
            32: ("stage3_block3_se", 32),
        },
    ),
    "SEInceptionV3": Family(
        partial(SEInceptionV3, alpha=1 / 16),
        # The sizes of strides 2 and 4 are those after the 3x3 without padding that follows.
        (lambda size: inner(size) - 2, lambda size: inner(size) - 2, inner, inner, inner),
        {
            2: ("stem_3_relu", 4),
            4: ("stem_6_relu", 12),
            8: ("stage1_block3_se", 18),
            16: ("stage2_block5_se", 48),
            32: ("stage3_block3_se", 128),
        },
    ),
    "SEInceptionResNetV2": Family(
        partial(models.SEInceptionResNetV2, alpha=1 / 16),
        (lambda size: inner(size) - 2, lambda size: inner(size) - 2, inner, inner, inner),
        {8: ("stage1_block11_relu", 20), 16: ("stage2_block21_relu", 68), 32: ("final_conv_relu", 96)},
    ),
    "SEMobileNet": Family(
        partial(models.SEMobileNet, alpha=1 / 16),
        (up, down, down, down, down),
        {
            2: ("stage1_block1_se", 4),
            4: ("stage2_block2_se", 8),
            8: ("stage3_block2_se", 16),
            16: ("stage4_block6_se", 32),
            32: ("stage5_block2_se", 64),
        },
    ),
    "SEMobileNetV2": Family(
        partial(SEMobileNetV2, alpha=0.35),
        (up,) * 5,
        {
            2: ("stage1_block1_project_bn", 8),
            4: ("stage2_block2_add", 8),
            8: ("stage3_block3_add", 16),
            16: ("stage5_block3_add", 32),
            32: ("final_conv_relu", 1280),
        },
    ),
    "SEMobileNetV3Small": Family(
        partial(models.SEMobileNetV3Small, alpha=0.5),
        (up,) * 5,
        {
            2: ("stem_conv_hard_swish", 16),
            4: ("stage1_block1_project_bn", 8),
            8: ("stage2_block2_add", 16),
            16: ("stage4_block2_add", 24),
            32: ("final_conv_hard_swish", 288),
        },
    ),
    "SEMobileNetV3Large": Family(
        partial(models.SEMobileNetV3Large, alpha=0.5),
        (up,) * 5,
        {
            2: ("stage1_block1_project_bn", 8),
            4: ("stage2_block2_add", 16),
            8: ("stage3_block3_add", 24),
            16: ("stage5_block2_add", 56),
            32: ("final_conv_hard_swish", 480),
        },
    ),
    "SEShuffleNet": Family(
        partial(models.SEShuffleNet, groups=2, alpha=0.16),
        (up, down, up, up, up),
        {
            2: ("stem_conv_relu", 24),
            4: ("stem_pool", 24),
            8: ("stage1_block4_relu", 32),
            16: ("stage2_block8_relu", 64),
            32: ("stage3_block4_relu", 128),
        },
    ),
}
SLOW = {"SEInceptionResNetV2"}  # hundreds of layers


def ends(pyramid: keras.Model) -> list[str]:
    return [x._keras_history.operation.name for x in pyramid.outputs]


@pytest.mark.parametrize("name", [case(name, slow=name in SLOW) for name in FAMILIES])
def test_families(name: str) -> None:
    family = FAMILIES[name]
    model = family.build(input_shape=(None, None, 3))
    pyramid = feature_pyramid(model, tuple(family.levels))
    assert ends(pyramid) == [layer for layer, _ in family.levels.values()]
    assert [x.shape for x in pyramid.outputs] == [(None, None, None, width) for _, width in family.levels.values()]
    for height, width in [(75, 96), (224, 299), (129, 130)]:
        assert pyramid.compute_output_shape((1, height, width, 3)) == [
            (1, family.size(height, stride), family.size(width, stride), filters)
            for stride, (_, filters) in family.levels.items()
        ]
    # The coarsest is what the classifier reads, and all weights are the network's own.
    if name != "SEVGG":
        assert feeds(model, "avg_pool") == ends(pyramid)[-1:]
    own = {id(weight) for weight in model.weights}
    assert pyramid.weights
    assert all(id(weight) in own for weight in pyramid.weights)


@pytest.mark.parametrize("size", [33, 45, 47])
@pytest.mark.parametrize(("build", "name"), [(resnet, "SEResNet"), (vgg, "SEVGG")])
def test_small_images_have_the_strides_of_large_ones(build: Callable, name: str, size: int) -> None:
    family = FAMILIES[name]
    pyramid = feature_pyramid(build(input_shape=(size, 40, 3)))
    assert ends(pyramid) == [family.levels[stride][0] for stride in (4, 8, 16, 32)]
    assert [x.shape[1] for x in pyramid.outputs] == [family.size(size, stride) for stride in (4, 8, 16, 32)]


@pytest.mark.parametrize("build", [resnet, vgg])
def test_the_coarsest_map_is_the_networks_without_classifier(build: Callable) -> None:
    model = build(input_shape=(45, 64, 3))
    body = build(input_shape=(45, 64, 3), include_top=False)
    randomise(model)
    body.set_weights(model.get_weights()[: len(body.weights)])  # those of the head are the last
    x = np.random.default_rng(0).normal(size=(2, 45, 64, 3)).astype("float32")
    maps = feature_pyramid(model)(x)
    assert error(array(maps[-1]), array(body(x))) < 1e-6
    assert [array(y).shape[1:3] for y in maps[:-1]] == [
        (11, 16),
        (6, 8) if build is resnet else (5, 8),
        (3, 4) if build is resnet else (2, 4),
    ]


# Strides


def test_strides_in_any_order() -> None:
    model = resnet()
    assert ends(feature_pyramid(model, (16, 4))) == ["stage3_block1_relu", "stage1_block1_relu"]
    assert ends(feature_pyramid(model, [8])) == ["stage2_block1_relu"]
    assert feature_pyramid(model).outputs == feature_pyramid(model, (4, 8, 16, 32)).outputs


def test_a_network_of_two_stages() -> None:
    model = SEResNet((1, 2), filters=(1, 1), stem="small", input_shape=(8, 8, 3))
    assert ends(feature_pyramid(model, (1, 2))) == ["stage1_block1_relu", "stage2_block2_relu"]
    with pytest.raises(
        ValueError,
        match=r"^strides must be among those of 'se_resnet': \[1, 2\]\. Received: strides=\(4, 8, 16, 32\)$",
    ):
        feature_pyramid(model)


@pytest.mark.parametrize("strides", [(64,), (4, 3), (), 4, None, ("4",)])
def test_refuses_strides(strides: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^strides must be among those of .*: \[2, 4, 8\]\. Received: strides="
    ) as caught:
        feature_pyramid(SEResNet((1, 1), filters=(1, 1)), strides)
    assert str(caught.value).endswith(f"strides={strides}")


def test_refuses_models_of_other_makers() -> None:
    with pytest.raises(ValueError, match=r"^model must be made by a builder .*\. Received: 'mine'$"):
        feature_pyramid(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3)], name="mine"))
    with pytest.raises(ValueError, match=r"^The model must be functional"):
        feature_pyramid(keras.Sequential([keras.layers.Conv2D(2, 3)]))
    with pytest.raises(ValueError, match=r"^The model must be functional, .* Received: 'SEResNet50', a str$"):
        feature_pyramid("SEResNet50")


# Placements: the maps are what the next block reads

PLACEMENTS = {"standard": "relu", "pre": "relu", "post": "se", "identity": "relu", "3x3": "relu"}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_placements(placement: str) -> None:
    model = SEResNet((1, 2, 1), filters=(1, 1, 1), placement=placement)
    end = PLACEMENTS[placement]
    names = ends(feature_pyramid(model, (4, 8, 16)))
    assert names == [f"stage1_block1_{end}", f"stage2_block2_{end}", f"stage3_block1_{end}"]
    assert feeds(model, "stage3_block1_shortcut") == names[1:2]
    assert feeds(model, "avg_pool") == names[2:]


def test_a_placement_that_not_every_block_has() -> None:
    model = SEMobileNetV2(alpha=0.35, placement="post", include_top=False)
    names = ends(feature_pyramid(model, (2, 4, 8)))
    assert names == ["stage1_block1_project_bn", "stage2_block2_se", "stage3_block3_se"]
    assert feeds(model, "stage4_block1_expand") == names[2:]


# The rest


def test_names() -> None:
    model = resnet(name="mine")
    assert feature_pyramid(model).name == "mine_pyramid"
    assert feature_pyramid(model, name="another").name == "another"


def test_with_pooling_instead_of_the_classifier() -> None:
    assert ends(feature_pyramid(resnet(include_top=False, pooling="avg")))[-1] == "stage4_block1_relu"


def test_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    pyramid = feature_pyramid(resnet(input_shape=(3, 45, 64)))
    assert [x.shape[1:] for x in pyramid.outputs] == [(4, 11, 16), (8, 6, 8), (12, 3, 4), (16, 2, 2)]


def test_strides_are_those_of_the_network_whatever_comes_before_it() -> None:
    image = keras.Input((512, 300, 3))
    pyramid = feature_pyramid(resnet(input_tensor=keras.layers.Resizing(64, 64)(image)))
    assert pyramid.input_shape == (None, 512, 300, 3)
    assert [x.shape[1] for x in pyramid.outputs] == [16, 8, 4, 2]
    flat = keras.Input((64 * 64 * 3,))
    pyramid = feature_pyramid(resnet(input_tensor=keras.layers.Reshape((64, 64, 3))(flat)))
    assert [x.shape[1] for x in pyramid.outputs] == [16, 8, 4, 2]
