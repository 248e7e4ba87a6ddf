"""The table of networks for the command line, tests and docs. It imports no Keras, so `keras-se models` is instant."""

from dataclasses import dataclass

# References: the table of the SE paper that has the network, and the paper of the network without SE.
TABLE_1, TABLE_2, TABLE_3, TABLE_4 = (f"Hu et al. 2018, arXiv 1709.01507, table {i}; " for i in (1, 2, 3, 4))
SENET = "Hu et al. 2018, arXiv 1709.01507, section 6.1"
RESNET = "He et al. 2015, arXiv 1512.03385"
PREACT = "He et al. 2016, arXiv 1603.05027"
WRN = "Zagoruyko and Komodakis 2016, arXiv 1605.07146"
RESNEXT = "Xie et al. 2017, arXiv 1611.05431"
VGG = "Simonyan and Zisserman 2015, arXiv 1409.1556"
BN_INCEPTION = "Ioffe and Szegedy 2015, arXiv 1502.03167"
INCEPTION_V3 = "Szegedy et al. 2016, arXiv 1512.00567"
INCEPTION_RESNET = "Szegedy et al. 2017, arXiv 1602.07261"
DENSENET = "Huang et al. 2017, arXiv 1608.06993"
MOBILENET = "Howard et al. 2017, arXiv 1704.04861"
MOBILENET_V2 = "Sandler et al. 2018, arXiv 1801.04381"
MOBILENET_V3 = "Howard et al. 2019, arXiv 1905.02244, with its own SE (r = 4)"
SHUFFLENET = "Zhang et al. 2018, arXiv 1707.01083"


@dataclass(frozen=True)
class Network:
    """A builder, and the size of the network that it makes by default.

    Attributes:
        builder: The name of the function in `keras_se.models`.
        size: Height and width of the image, in pixels.
        classes: Number of classes.
        parameters: Trainable parameters.
        se_parameters: Trainable parameters of its SE layers.
        macs: Multiply-accumulates for one image, as `keras_se.complexity` counts them.
        se_macs: Multiply-accumulates of its SE layers.
        reference: The publications that define the network.
    """

    builder: str
    size: int
    classes: int
    parameters: int
    se_parameters: int
    macs: int
    se_macs: int
    reference: str


# A test builds each network and compares.
NETWORKS = (
    Network("SEResNet18", 224, 1000, 11_778_592, 89_080, 1_814_913_024, 839_680, RESNET),
    Network("SEResNet34", 224, 1000, 21_958_868, 161_196, 3_665_298_432, 1_537_024, RESNET),
    Network("SEResNet50", 224, 1000, 28_088_024, 2_530_992, 3_866_007_552, 8_034_304, TABLE_1 + RESNET),
    Network("SEResNet101", 224, 1000, 49_326_872, 4_777_712, 7_583_868_928, 13_674_496, TABLE_2 + RESNET),
    Network("SEResNet152", 224, 1000, 66_821_848, 6_629_040, 11_302_139_904, 19_724_288, TABLE_2 + RESNET),
    Network("SEResNeXt50", 224, 1000, 27_559_896, 2_530_992, 4_238_514_176, 8_034_304, TABLE_1 + RESNEXT),
    Network("SEResNeXt101", 224, 1000, 48_955_416, 4_777_712, 7_983_671_296, 13_674_496, TABLE_2 + RESNEXT),
    Network("SENet154", 224, 1000, 115_088_984, 6_629_040, 20_701_509_632, 19_724_288, SENET),
    Network("SEBNInception", 224, 1000, 11_931_622, 646_398, 2_034_420_128, 1_820_064, TABLE_2 + BN_INCEPTION),
    Network("SEInceptionV3", 299, 1000, 25_478_972, 1_661_620, 5_717_340_064, 4_123_968, INCEPTION_V3),
    Network(
        "SEInceptionResNetV2", 299, 1000, 64_357_172, 8_543_980, 13_175_829_216, 20_035_200, TABLE_2 + INCEPTION_RESNET
    ),
    Network("SEVGG16", 224, 1000, 138_596_784, 230_792, 15_484_038_144, 13_773_824, TABLE_2 + VGG),
    Network("SEVGG19", 224, 1000, 143_984_128, 305_880, 19_647_214_592, 15_152_128, VGG),
    Network("SEDenseNet121", 224, 1000, 8_328_912, 350_056, 2_836_138_496, 1_976_832, DENSENET),
    Network("SEDenseNet169", 224, 1000, 14_807_824, 658_344, 3_362_215_168, 2_371_840, DENSENET),
    Network("SEDenseNet201", 224, 1000, 21_033_808, 1_019_880, 4_294_223_616, 2_857_728, DENSENET),
    Network("SEDenseNet264", 224, 1000, 35_129_264, 1_791_560, 5_755_431_680, 3_778_304, DENSENET),
    Network("SEMobileNet", 224, 1000, 4_718_044, 486_068, 571_929_600, 3_189_248, TABLE_3 + MOBILENET),
    Network("SEMobileNetV2", 224, 1000, 4_076_486, 571_614, 303_640_128, 2_865_856, MOBILENET_V2),
    Network("SEMobileNetV3Small", 224, 1000, 2_542_856, 461_640, 56_795_776, 744_128, MOBILENET_V3),
    Network("SEMobileNetV3Large", 224, 1000, 5_483_032, 1_512_280, 217_187_168, 2_104_608, MOBILENET_V3),
    Network("SEShuffleNet", 224, 1000, 2_484_533, 618_805, 139_675_152, 2_214_480, TABLE_3 + SHUFFLENET),
    Network("SEResNet20", 32, 10, 272_095, 2_373, 40_639_072, 88_032, RESNET),
    Network("SEResNet32", 32, 10, 468_109, 3_955, 69_009_312, 146_720, RESNET),
    Network("SEResNet44", 32, 10, 664_123, 5_537, 97_379_552, 205_408, RESNET),
    Network("SEResNet56", 32, 10, 860_137, 7_119, 125_749_792, 264_096, RESNET),
    Network("SEResNet110", 32, 10, 1_742_200, 14_238, 253_415_872, 528_192, TABLE_4 + RESNET),
    Network("SEResNet164", 32, 10, 1_905_362, 202_104, 246_758_912, 2_257_920, TABLE_4 + PREACT),
    Network("SEWRN16_8", 32, 10, 11_049_290, 87_920, 1_548_690_432, 544_768, TABLE_4 + WRN),
)
