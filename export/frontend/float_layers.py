"""Layers kept in float in int8 files, because int8 cannot represent their small values."""

import keras

from keras_se.graph.walk import layers_by_path
from keras_se.layers import Detections, LocationBoxes

# The areas of small boxes are less than a step of the largest one's. LiteRT fails at a division by 0, and elsewhere
# their overlaps are no numbers.
IN_FLOATS = (Detections, LocationBoxes)


def paths_in_floats(model: keras.Model) -> frozenset[str]:
    """The paths of layers that compute in floats."""
    return frozenset(path for path, layer in layers_by_path(model) if isinstance(layer, IN_FLOATS))
