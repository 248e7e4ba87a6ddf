"""The layers, on any backend of Keras 3. May import Keras and `keras_se._validation`, and nothing above them."""

from keras_se.layers.activations import twice_sigmoid
from keras_se.layers.channel_scale import ChannelScale
from keras_se.layers.channel_shuffle import ChannelShuffle
from keras_se.layers.concurrent_squeeze_excite import ConcurrentSqueezeExcite
from keras_se.layers.cosine_schedule import cosine_schedule
from keras_se.layers.ddim_step import DDIMStep
from keras_se.layers.detections import Detections
from keras_se.layers.location_boxes import LocationBoxes
from keras_se.layers.resize_like import ResizeLike
from keras_se.layers.sinusoidal_embedding import SinusoidalEmbedding
from keras_se.layers.spatial_squeeze_excite import SpatialSqueezeExcite
from keras_se.layers.squeeze_excite import SqueezeExcite

# The layers that compute gates from their inputs and apply them.
EXCITATIONS = (SqueezeExcite, SpatialSqueezeExcite, ConcurrentSqueezeExcite)

__all__ = [
    "EXCITATIONS",
    "ChannelScale",
    "ChannelShuffle",
    "ConcurrentSqueezeExcite",
    "DDIMStep",
    "Detections",
    "LocationBoxes",
    "ResizeLike",
    "SinusoidalEmbedding",
    "SpatialSqueezeExcite",
    "SqueezeExcite",
    "cosine_schedule",
    "twice_sigmoid",
]
