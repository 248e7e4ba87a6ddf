"""Trainable parameters, to the last one: those of the released networks and of the paper's table."""

import math
from collections.abc import Callable

import keras
import pytest

import keras_se.models
from keras_se import SqueezeExcite
from keras_se.catalog import NETWORKS, Network
from keras_se.models import SEMobileNet, SEResNet18, SEResNet34, SEResNet50, SEResNet101, SEResNet152


def trainable(layers: list[keras.layers.Layer]) -> int:
    return sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights)


def of_se(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name.endswith("_se")]


@pytest.mark.parametrize(
    ("builder", "total", "share"),
    [
        (SEResNet50, 28_088_024, 2_530_992),
        (SEResNet101, 49_326_872, 4_777_712),
        (SEResNet152, 66_821_848, 6_629_040),
        (SEMobileNet, 4_718_044, 4_718_044 - 4_231_976),
    ],
)
def test_network_with_se(builder: Callable[..., keras.Model], total: int, share: int) -> None:
    model = builder()
    assert trainable([model]) == total
    assert trainable(of_se(model)) == share


@pytest.mark.parametrize(
    ("builder", "total"),
    [
        (SEResNet18, 11_689_512),  # torchvision's resnet18 and resnet34 have as many
        (SEResNet34, 21_797_672),
        (SEResNet50, 25_557_032),
        (SEMobileNet, 4_231_976),
    ],
)
def test_plain_network(builder: Callable[..., keras.Model], total: int) -> None:
    model = builder(r=None)
    assert trainable([model]) == total
    assert of_se(model) == []


@pytest.mark.parametrize(("r", "millions"), [(2, 45.7), (4, 35.7), (8, 30.7), (16, 28.1), (32, 26.9)])
def test_reduction_ratios_of_the_papers_ablation(r: int, millions: float) -> None:
    se = sum(2 / r * blocks * channels**2 for blocks, channels in [(3, 256), (4, 512), (6, 1024), (3, 2048)])
    model = SEResNet50(se=lambda stage: SqueezeExcite(r, use_bias=False))
    assert trainable(of_se(model)) == se  # the paper's formula
    # The paper's figures are up to 0.11 M more than its own formula gives.
    assert trainable([model]) / 1e6 == pytest.approx(millions, abs=0.12)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("depth_multiplier", [1, 2])
def test_plain_mobilenet_of_other_widths(alpha: float, depth_multiplier: int) -> None:
    options = {"input_shape": (64, 64, 3), "alpha": alpha, "depth_multiplier": depth_multiplier, "weights": None}
    assert trainable([SEMobileNet(**options, r=None)]) == trainable([keras.applications.MobileNet(**options)])


def test_the_catalog_lists_every_builder() -> None:
    named = [name for name in keras_se.models.__all__ if name != "SEResNet"]
    assert sorted(network.builder for network in NETWORKS) == sorted(named)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.builder)
def test_the_catalog_says_what_is_built(network: Network) -> None:
    model = getattr(keras_se.models, network.builder)()
    assert model.input_shape == (None, network.size, network.size, 3)
    assert trainable([model]) == network.parameters
    assert trainable(of_se(model)) == network.se_parameters
