"""Parameters, to the last one: those of the released networks, of keras.applications and of the paper's tables."""

import math
from collections.abc import Callable

import keras
import pytest

from keras_se import SqueezeExcite, complexity, models
from keras_se.catalog import NETWORKS, Network
from tests.support.cases import case
from tests.support.networks.families import FAMILIES

pytestmark = pytest.mark.usefixtures("no_initial_values")  # weights are counted, and not used


def trainable(layers: list[keras.layers.Layer]) -> int:
    return sum(math.prod(weight.shape) for layer in layers for weight in layer.trainable_weights)


def of_se(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name.endswith("_se")]


@pytest.mark.parametrize(
    ("builder", "total", "share"),
    [
        (models.SEResNet50, 28_088_024, 2_530_992),
        (models.SEResNet101, 49_326_872, 4_777_712),
        (models.SEResNet152, 66_821_848, 6_629_040),
        (models.SEResNeXt50, 27_559_896, 2_530_992),
        (models.SEResNeXt101, 48_955_416, 4_777_712),
        (models.SENet154, 115_088_984, 6_629_040),
        (models.SEBNInception, 11_931_622, 646_398),
        (models.SEMobileNet, 4_718_044, 4_718_044 - 4_231_976),
    ],
)
def test_catalog_has_the_counts_of_released_networks(
    builder: Callable[..., keras.Model], total: int, share: int
) -> None:
    """And the test of the catalog builds them."""
    (listed,) = (network for network in NETWORKS if network.builder == builder.__name__)
    assert (listed.parameters, listed.se_parameters) == (total, share)


@pytest.mark.parametrize(
    ("builder", "total"),
    [
        (models.SEResNet18, 11_689_512),  # torchvision's resnet18 and resnet34 have as many
        (models.SEResNet34, 21_797_672),
        (models.SEResNet50, 25_557_032),
        (models.SEResNeXt50, 25_028_904),
        (models.SEVGG16, 138_365_992),
        (models.SEResNet20, 269_722),
        (models.SEResNet164, 1_703_258),
    ],
)
def test_plain_network_has_the_counts_of_torchvision(builder: Callable[..., keras.Model], total: int) -> None:
    model = builder(r=None)
    assert trainable([model]) == total
    assert of_se(model) == []


APPLICATIONS = {
    "SEDenseNet121": "DenseNet121",
    "SEDenseNet169": "DenseNet169",
    "SEDenseNet201": "DenseNet201",
    "SEInceptionV3": "InceptionV3",
    "SEInceptionResNetV2": "InceptionResNetV2",
    "SEMobileNet": "MobileNet",
    "SEMobileNetV2": "MobileNetV2",
}


@pytest.mark.reference
@pytest.mark.parametrize("name", APPLICATIONS)
def test_plain_network_of_keras_applications(name: str) -> None:
    reference = getattr(keras.applications, APPLICATIONS[name])(weights=None)
    assert trainable([getattr(models, name)(r=None)]) == trainable([reference])


@pytest.mark.reference
@pytest.mark.parametrize("size", ["Small", "Large"])
def test_mobilenet_v3_has_the_se_of_keras_applications(size: str) -> None:
    reference = getattr(keras.applications, f"MobileNetV3{size}")(weights=None)
    assert trainable([getattr(models, f"SEMobileNetV3{size}")()]) == trainable([reference])


@pytest.mark.reference
@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("depth_multiplier", [1, 2])
def test_plain_mobilenet_of_other_widths(alpha: float, depth_multiplier: int) -> None:
    options = {"input_shape": (64, 64, 3), "alpha": alpha, "depth_multiplier": depth_multiplier, "weights": None}
    assert trainable([models.SEMobileNet(**options, r=None)]) == trainable([keras.applications.MobileNet(**options)])


@pytest.mark.reference
@pytest.mark.parametrize("alpha", [0.35, 0.5, 1.3])
def test_plain_mobilenet_v2_of_other_widths(alpha: float) -> None:
    options = {"input_shape": (64, 64, 3), "alpha": alpha, "weights": None}
    reference = keras.applications.MobileNetV2(**options)
    assert trainable([models.SEMobileNetV2(**options, r=None)]) == trainable([reference])


@pytest.mark.reference
@pytest.mark.parametrize("minimalistic", [False, True])
@pytest.mark.parametrize("alpha", [0.75, 1.5])
def test_mobilenet_v3_of_other_widths(alpha: float, minimalistic: bool) -> None:
    options = {"input_shape": (64, 64, 3), "alpha": alpha, "minimalistic": minimalistic, "weights": None}
    reference = keras.applications.MobileNetV3Small(**options)
    assert trainable([models.SEMobileNetV3Small(**options)]) == trainable([reference])


# The ablations, all of which tests/test_paper.py builds


@pytest.mark.parametrize("r", [2, 16, *(case(r, slow=True) for r in (4, 8, 32))])
def test_se_adds_the_parameters_of_the_papers_formula(r: int) -> None:
    se = sum(2 / r * blocks * channels**2 for blocks, channels in [(3, 256), (4, 512), (6, 1024), (3, 2048)])
    model = models.SEResNet50(se=lambda stage: SqueezeExcite(r, use_bias=False))
    assert trainable(of_se(model)) == se


def test_papers_figure_for_r_8_deviates_from_its_formula() -> None:
    """30.7 M; the formula gives 30.64 M with the moving statistics, 30.59 M without."""
    model = models.SEResNet50(se=lambda stage: SqueezeExcite(8, use_bias=False))
    assert model.count_params() == 30_640_040
    assert abs(model.count_params() / 1e6 - 30.7) < 0.061


# The catalog


def test_catalog_lists_every_builder() -> None:
    assert {network.builder for network in NETWORKS} == set(models.BUILDERS) - FAMILIES


# Building a network takes seconds: of the families, one is built in each run.
BUILT = ("SEResNet50", "SEResNeXt50", "SEMobileNet", "SEMobileNetV2", "SEMobileNetV3Small", "SEShuffleNet", "SEVGG16")
BUILT += ("SEResNet20", "SEWRN16_8", "SEBNInception", "SEDenseNet121", "SEInceptionV3")
LISTED = [case(network, id=network.builder, slow=network.builder not in BUILT) for network in NETWORKS]


@pytest.mark.parametrize("network", LISTED)
def test_catalog_has_the_counts_of_what_is_built(network: Network) -> None:
    model = getattr(models, network.builder)()
    assert model.input_shape == (None, network.size, network.size, 3)
    assert model.output_shape == (None, network.classes)
    assert trainable([model]) == network.parameters
    assert trainable(of_se(model)) == network.se_parameters
    counted = complexity(model)
    assert (counted.parameters, counted.se_parameters) == (network.parameters, network.se_parameters)
    assert (counted.macs, counted.se_macs) == (network.macs, network.se_macs)
