"""Loads published weights into networks of `keras_se.models`. Imports models and layers."""

from keras_se.weights.load import load, preprocessing
from keras_se.weights.preprocessing import Preprocessing
from keras_se.weights.resolve import NewClassifierWarning
from keras_se.weights.timm import ARCHITECTURES

__all__ = ["ARCHITECTURES", "NewClassifierWarning", "Preprocessing", "load", "preprocessing"]
