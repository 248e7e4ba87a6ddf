"""Networks with squeeze-and-excitation, as functional Keras models: builders, and detectors and segmenters on them.

A line here exports a family's builders. Editors and mypy read `__init__.pyi`, which `make stub` writes.
"""
# ruff: noqa: F401

from keras_se.models.detection import SEFCOS, FCOSLoss, detection_targets, with_detections
from keras_se.models.families.densenet import SEDenseNet, SEDenseNet121, SEDenseNet169, SEDenseNet201, SEDenseNet264
from keras_se.models.families.inception import SEBNInception, SEInceptionV3
from keras_se.models.families.inception_resnet import SEInceptionResNetV2
from keras_se.models.families.mobilenet import SEMobileNet
from keras_se.models.families.mobilenet_v2 import SEMobileNetV2
from keras_se.models.families.mobilenet_v3 import SEMobileNetV3, SEMobileNetV3Large, SEMobileNetV3Small
from keras_se.models.families.preact_resnet import SEWRN16_8, SEPreActResNet, SEResNet164
from keras_se.models.families.resnet import (
    SEResNet,
    SEResNet18,
    SEResNet20,
    SEResNet32,
    SEResNet34,
    SEResNet44,
    SEResNet50,
    SEResNet56,
    SEResNet101,
    SEResNet110,
    SEResNet152,
    SEResNeXt50,
    SEResNeXt101,
)
from keras_se.models.families.senet import SENet, SENet154
from keras_se.models.families.shufflenet import SEShuffleNet
from keras_se.models.families.vgg import SEVGG, SEVGG16, SEVGG19
from keras_se.models.pyramid import feature_pyramid
from keras_se.models.segmentation import LRASPP, SEUNet

__all__ = sorted(name for name, value in globals().items() if callable(value))
# The names of the builders; the other names make something of a network that one of them returned.
BUILDERS = tuple(name for name in __all__ if hasattr(globals()[name], "definition"))
