"""Networks with squeeze-and-excitation, as functional Keras models."""

from keras_se.models.mobilenet import SEMobileNet
from keras_se.models.resnet import SEResNet, SEResNet18, SEResNet34, SEResNet50, SEResNet101, SEResNet152

__all__ = ["SEMobileNet", "SEResNet", "SEResNet18", "SEResNet34", "SEResNet50", "SEResNet101", "SEResNet152"]
