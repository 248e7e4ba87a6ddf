"""Networks with squeeze-and-excitation, as functional Keras models."""

from keras_se.models.detection.decoding import with_detections
from keras_se.models.detection.fcos import SEFCOS
from keras_se.models.detection.loss import FCOSLoss
from keras_se.models.detection.targets import detection_targets
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

# Builders of any depth or width; the others are the networks that papers name.
FAMILIES = ("SEDenseNet", "SEMobileNetV3", "SENet", "SEPreActResNet", "SEResNet", "SEVGG")

# What makes a model of a network that one of them returned, and what goes with it.
ON_NETWORKS = ("LRASPP", "FCOSLoss", "SEFCOS", "SEUNet", "detection_targets", "feature_pyramid", "with_detections")

__all__ = [
    "LRASPP",
    "SEFCOS",
    "SEVGG",
    "SEVGG16",
    "SEVGG19",
    "SEWRN16_8",
    "FCOSLoss",
    "SEBNInception",
    "SEDenseNet",
    "SEDenseNet121",
    "SEDenseNet169",
    "SEDenseNet201",
    "SEDenseNet264",
    "SEInceptionResNetV2",
    "SEInceptionV3",
    "SEMobileNet",
    "SEMobileNetV2",
    "SEMobileNetV3",
    "SEMobileNetV3Large",
    "SEMobileNetV3Small",
    "SENet",
    "SENet154",
    "SEPreActResNet",
    "SEResNeXt50",
    "SEResNeXt101",
    "SEResNet",
    "SEResNet18",
    "SEResNet20",
    "SEResNet32",
    "SEResNet34",
    "SEResNet44",
    "SEResNet50",
    "SEResNet56",
    "SEResNet101",
    "SEResNet110",
    "SEResNet152",
    "SEResNet164",
    "SEShuffleNet",
    "SEUNet",
    "detection_targets",
    "feature_pyramid",
    "with_detections",
]
