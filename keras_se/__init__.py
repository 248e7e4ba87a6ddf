"""Squeeze-and-excitation for Keras: the layers, the networks, and their way onto devices."""

from keras_se.layers import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
from keras_se.version import __version__

__all__ = ["ConcurrentSqueezeExcite", "SpatialSqueezeExcite", "SqueezeExcite", "__version__"]
