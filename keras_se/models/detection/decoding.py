"""From what a detector tells of each location to boxes."""

import keras

from keras_se._validation import positive_integer
from keras_se.layers import Detections, LocationBoxes
from keras_se.models._shared.network import head_dtype
from keras_se.models.detection.fcos import parts
from keras_se.models.pyramid import prepared_like


def with_detections(model: keras.Model, detections: int = 100, name: str | None = None) -> keras.Model:
    """The same detector, its weights shared, that returns boxes: the model to export.

    Everything is in the graph, and of a fixed size: the files have built-in operations only and need no code around
    them. In files of 8 bits the detector is in 8 bits, and what is added here in floats: 8 bits would make nothing of
    small boxes.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet, with_detections
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> model = with_detections(SEFCOS(backbone, classes=6, filters=32, strides=(8, 16)), detections=10)
    >>> {name: x.shape for name, x in model.output.items()}
    {'boxes': (None, 10, 4), 'scores': (None, 10), 'classes': (None, 10)}

    Args:
        model: What `SEFCOS` returned, of images of a known size.
        detections: How many boxes are returned, with the highest scores; fewer if there are fewer locations.
        name: The model's name; `<the detector's>_detections` by default.

    Returns:
        A functional `keras.Model` with a dictionary of outputs: `"boxes"` (batch, detections, 4), the left, top, right
        and bottom edge in pixels; `"scores"`, from 0 to 1, the highest first; `"classes"`, of int32.

    Raises:
        ValueError: for a model that is no detector of images of a known size, or an argument out of its range.
    """
    found = parts(model)
    boxes = LocationBoxes(found.maps, dtype=head_dtype(), name="boxes")(found.distances)
    count = min(positive_integer("detections", detections), boxes.shape[1])
    layer = Detections(count, found.image, dtype=head_dtype(), name="detections")
    outputs = layer([boxes, found.classes, found.quality])
    decoded = keras.Model(model.input, outputs, name=name or f"{model.name}_detections")
    return prepared_like(model, decoded)
