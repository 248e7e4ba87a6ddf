"""The table of networks: the one place that lists them. The command line, tests and docs read it."""

from dataclasses import dataclass

SE_PAPER = "Hu et al. 2018, arXiv 1709.01507"


@dataclass(frozen=True)
class Network:
    """A builder and what it makes by default.

    Attributes:
        builder: The name of the function in `keras_se.models`.
        size: Height and width of the image, in pixels.
        parameters: Trainable parameters with 1000 classes and r = 16.
        se_parameters: Those of its SE layers.
        reference: Where the network is from.
    """

    builder: str
    size: int
    parameters: int
    se_parameters: int
    reference: str


# A test builds each network and counts.
NETWORKS = (
    Network("SEResNet18", 224, 11_778_592, 89_080, f"{SE_PAPER}; basic blocks of He et al. 2015"),
    Network("SEResNet34", 224, 21_958_868, 161_196, f"{SE_PAPER}; basic blocks of He et al. 2015"),
    Network("SEResNet50", 224, 28_088_024, 2_530_992, f"{SE_PAPER}, table 1"),
    Network("SEResNet101", 224, 49_326_872, 4_777_712, f"{SE_PAPER}, table 2"),
    Network("SEResNet152", 224, 66_821_848, 6_629_040, f"{SE_PAPER}, table 2"),
    Network("SEMobileNet", 224, 4_718_044, 486_068, f"{SE_PAPER}, table 3; Howard et al. 2017"),
)
