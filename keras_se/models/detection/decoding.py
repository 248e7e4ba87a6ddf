"""Adds the decoding of boxes to a detector."""

import keras

from keras_se._validation import positive_integer
from keras_se.layers import Detections, LocationBoxes
from keras_se.models._shared.network import head_dtype
from keras_se.models.detection.fcos import detector_outputs
from keras_se.models.pyramid import prepared_like


def with_detections(model: keras.Model, detections: int = 100, name: str | None = None) -> keras.Model:
    """The same detector with boxes as outputs: the model to export. Weights are shared.

    Decoding is part of the graph and has fixed shapes, so exported files have built-in operations only and need no
    post-processing. In int8 files the decoding stays in float, because int8 cannot represent small boxes.

    Example:

    >>> from keras_se.models import SEFCOS, SEResNet, with_detections
    >>> backbone = SEResNet((1, 1, 1), block="basic", filters=(16, 32, 64), input_shape=(64, 64, 3), include_top=False)
    >>> model = with_detections(SEFCOS(backbone, classes=6, filters=32, strides=(8, 16)), detections=10)
    >>> {name: x.shape for name, x in model.output.items()}
    {'boxes': (None, 10, 4), 'scores': (None, 10), 'classes': (None, 10)}

    Args:
        model: A detector made by `SEFCOS`, for images of a known size.
        detections: Positive integer, the number of boxes, those with the highest scores. It is limited to the number of
            locations.
        name: The model's name; `<the detector's>_detections` by default.

    Returns:
        A functional `keras.Model` with a dictionary of outputs: `"boxes"` (batch, detections, 4), the left, top, right
        and bottom edge in pixels; `"scores"` (batch, detections), from 0 to 1, the highest first; `"classes"` (batch,
        detections), int32.

    Raises:
        ValueError: for a model other than a detector for images of a known size, or an argument out of its range.
    """
    outputs = detector_outputs(model)
    boxes = LocationBoxes(outputs.maps, dtype=head_dtype(), name="boxes")(outputs.distances)
    count = min(positive_integer("detections", detections), boxes.shape[1])
    layer = Detections(count, outputs.image, dtype=head_dtype(), name="detections")
    detected = layer([boxes, outputs.classes, outputs.quality])
    decoded = keras.Model(model.input, detected, name=name or f"{model.name}_detections")
    return prepared_like(model, decoded)
