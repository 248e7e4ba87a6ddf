"""SE-MobileNet: the same network as keras.applications' but for SE, and where SE sits."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_se.models import SEMobileNet
from tests.support.arrays import array, error, randomise
from tests.support.cases import case

BLOCKS = [f"stage{s}_block{b}" for s, depth in enumerate((1, 2, 2, 6, 2), 1) for b in range(1, depth + 1)]


def small(**options: Any) -> keras.Model:
    return SEMobileNet(**({"input_shape": (32, 32, 3), "alpha": 0.1, "classes": 5} | options))


def feed(model: keras.Model, name: str) -> str:
    return model.get_layer(name).input._keras_history.operation.name


def readers(model: keras.Model, name: str) -> set[str]:
    return {node.operation.name for node in model.get_layer(name)._outbound_nodes}


# The reference network


def same_as_reference(x: np.ndarray, **options: Any) -> None:
    """Builds both networks, gives both the same random weights and batch statistics, and compares their outputs."""
    reference = keras.applications.MobileNet(weights=None, **options)
    randomise(reference)
    model = SEMobileNet(weights=None, r=None, **options)
    model.set_weights(reference.get_weights())
    expected = array(reference(x))
    # The images, and not the biases alone, make the outputs: a thousand times more than is tolerated.
    assert error(expected[:1], expected[1:]) > 1e-2
    assert error(array(model(x)), expected) < 1e-5


def images(height: int, width: int) -> np.ndarray:
    """One of noise, one of stripes."""
    noise = np.random.default_rng(0).uniform(-1, 1, (1, height, width, 3))
    stripes = np.broadcast_to(np.sin(np.arange(width) / 3)[:, None], noise.shape)
    return np.concatenate([noise, stripes]).astype("float32")


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize("alpha", [0.25, case(1.0, marks=pytest.mark.reference)])
def test_plain_network_equals_keras_applications(alpha: float, activation: str | None) -> None:
    same_as_reference(images(64, 64), input_shape=(64, 64, 3), alpha=alpha, classifier_activation=activation)


@pytest.mark.parametrize("size", [(33, 33), (45, 38)])
def test_plain_network_equals_keras_applications_at_odd_sizes(size: tuple[int, int]) -> None:
    same_as_reference(images(*size), input_shape=(*size, 3), alpha=0.25, include_top=False)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_plain_network_equals_keras_applications_with_pooling(pooling: str) -> None:
    options = {"input_shape": (None, None, 3), "alpha": 0.25, "include_top": False}
    same_as_reference(images(40, 36), pooling=pooling, depth_multiplier=2, **options)


# Where SE sits


def test_standard_placement() -> None:
    model = small()
    assert [layer.name for layer in model.layers if layer.name.endswith("_se")] == [f"{block}_se" for block in BLOCKS]
    for block, following in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        assert feed(model, f"{block}_se") == f"{block}_pointwise_relu"
        (reader,) = readers(model, f"{block}_se")
        assert reader in (f"{following}_depthwise", f"{following}_depthwise_pad", "avg_pool" if not following else "")


def test_placement_before_the_block() -> None:
    model = small(placement="pre")
    for previous, block in zip(
        ["stem_conv_relu", *(f"{name}_pointwise_relu" for name in BLOCKS)], BLOCKS, strict=False
    ):
        assert feed(model, f"{block}_se") == previous


def test_placement_after_the_3x3() -> None:
    model = small(placement="3x3")
    for block in BLOCKS:
        assert feed(model, f"{block}_se") == f"{block}_depthwise_relu"
        assert readers(model, f"{block}_se") == {f"{block}_pointwise"}


def test_layers_are_named_after_their_place() -> None:
    block = ["depthwise", "depthwise_bn", "depthwise_relu", "pointwise", "pointwise_bn", "pointwise_relu", "se"]
    names = {layer.name for layer in small().layers}
    assert {f"{place}_{name}" for place in BLOCKS for name in block} <= names
    others = {name for name in names if not name.startswith("stage")}
    head = {"avg_pool", "dropout", "logits", "flatten", "predictions"}
    assert others == {"image", "stem_conv", "stem_conv_bn", "stem_conv_relu"} | head


@pytest.mark.parametrize(
    ("stem", "size", "pixels"), [("imagenet", 32, 1), ("imagenet", 64, 2), ("small", 16, 1), ("small", 32, 2)]
)
def test_sizes_of_the_feature_map(stem: str, size: int, pixels: int) -> None:
    shape = small(stem=stem, input_shape=(size, size, 3), include_top=False).output_shape
    assert shape == (None, pixels, pixels, 102)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *[
            ({"placement": p}, rf"^placement must be one of .* Received: placement='{p}'$")
            for p in ("identity", "post")
        ],
        ({"alpha": 0}, r"^alpha must be a finite number greater than 0\. Received: alpha=0$"),
        ({"alpha": -1.0}, r"^alpha must be a finite number greater than 0\. Received: alpha=-1.0$"),
        ({"dropout": 1}, r"^dropout must be a number from 0 to below 1\. Received: dropout=1$"),
        ({"dropout": -0.1}, r"^dropout must be a number from 0 to below 1\. Received: dropout=-0.1$"),
        ({"depth_multiplier": 0}, r"^depth_multiplier must be a positive integer\. Received: depth_multiplier=0$"),
        ({"stem": "x"}, r"^stem must be .* Received: stem='x'$"),
        ({"stem": "small", "input_shape": (15, 16, 3)}, r"^input_shape must be .* 16x16 .* shape \(15, 16, 3\)$"),
    ],
)
def test_refuses_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
