"""Object detection on any network of this package. May import layers, `models._shared` and the pyramid."""

from keras_se.models.detection.decoding import with_detections
from keras_se.models.detection.fcos import SEFCOS
from keras_se.models.detection.loss import FCOSLoss
from keras_se.models.detection.targets import detection_targets

__all__ = ["SEFCOS", "FCOSLoss", "detection_targets", "with_detections"]
