"""SE-VGG: where SE sits, its head, and what its layers are called."""

from typing import Any

import keras
import pytest

from keras_se.models import SEVGG
from tests.support.numpy_networks import check_placements, feeds, graphs_only

pytestmark = graphs_only


def small(**options: Any) -> keras.Model:
    """Two stages with one and two convolutions of a few channels."""
    shape = {"depths": (1, 2), "filters": (4, 8), "hidden": 6, "input_shape": (32, 32, 3), "classes": 5}
    return SEVGG(**(shape | options))


# Where SE sits

PLACES = {
    "standard": [
        ("stage1_block1", "stage1_block1_conv_relu", {"stage1_pool"}, 4),
        ("stage2_block1", "stage2_block1_conv_relu", {"stage2_block2_conv"}, 8),
        ("stage2_block2", "stage2_block2_conv_relu", {"stage2_pool"}, 8),
    ],
    "pre": [
        ("stage1_block1", "image", {"stage1_block1_conv"}, 3),
        ("stage2_block1", "stage1_pool", {"stage2_block1_conv"}, 4),
        ("stage2_block2", "stage2_block1_conv_relu", {"stage2_block2_conv"}, 8),
    ],
}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    check_placements(small(placement=placement), PLACES[placement])


# Its layers


def test_layers_are_named_after_their_place() -> None:
    expected = [
        *["image", "stage1_block1_conv", "stage1_block1_conv_bn", "stage1_block1_conv_relu", "stage1_block1_se"],
        *["stage1_pool", "flatten", "fc1", "dropout1", "fc2", "dropout2", "predictions"],
    ]
    model = small(depths=(1,), filters=(4,))
    assert [layer.name for layer in model.layers] == expected
    for name, before in zip(expected[1:], expected, strict=False):
        assert feeds(model, name) == [before]


def test_convolutions_keep_their_size_and_bias() -> None:
    model = small()
    for name, size in [("stage1_block1", 32), ("stage2_block1", 16), ("stage2_block2", 16)]:
        layer = model.get_layer(f"{name}_conv")
        assert (layer.kernel_size, layer.strides, layer.use_bias) == ((3, 3), (1, 1), True)
        assert layer.output.shape[1:3] == (size, size)


def test_the_dense_layers() -> None:
    model = small(dropout=0.25, input_shape=(45, 38, 3))
    assert model.get_layer("stage2_pool").output.shape == (None, 11, 9, 8)  # the last row and column fall out
    assert model.get_layer("fc1").kernel.shape == (11 * 9 * 8, 6)
    assert model.get_layer("fc2").kernel.shape == (6, 6)
    assert [model.get_layer(name).activation.__name__ for name in ("fc1", "fc2")] == ["relu", "relu"]
    assert [model.get_layer(name).rate for name in ("dropout1", "dropout2")] == [0.25, 0.25]


def test_without_the_head_the_size_may_be_unknown() -> None:
    assert small(include_top=False, input_shape=None).output_shape == (None, None, None, 8)
    with pytest.raises(
        ValueError, match=r"^input_shape must have a known size: .* Received: a feature map of shape \(None, 8, 8\)$"
    ):
        small(input_shape=(None, 32, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": (4,)}, r"^depths and filters must have .* Received: depths=\(1, 2\), filters=\(4,\)$"),
        ({"depths": 2}, r"^depths must be .* Received: depths=2$"),
        ({"depths": (1, 0)}, r"^depths must be a positive integer\. Received: depths=0$"),
        ({"hidden": 0}, r"^hidden must be a positive integer\. Received: hidden=0$"),
        ({"dropout": 1}, r"^dropout must be a number from 0 to below 1\. Received: dropout=1$"),
        *[
            ({"placement": p}, rf"^placement must be one of .* Received: placement='{p}'$")
            for p in ("post", "identity", "3x3")
        ],
        (
            {"depths": (1,) * 6, "filters": (1,) * 6, "input_shape": (64, 63, 3)},
            r"^input_shape must be .* 64x64 pixels .* shape \(64, 63, 3\)$",
        ),
        ({"input_shape": (31, 32, 3)}, r"^input_shape must be .* 32x32 pixels .* shape \(31, 32, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
