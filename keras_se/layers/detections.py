"""Selects the best boxes of a detector, without duplicates (Matrix NMS)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se._validation import positive_integer

# Candidates per returned detection: most candidates are duplicates of others.
CANDIDATES = 4
# How fast a score falls with the overlap: at an IoU of 0.9 with a better box, to a fifth.
DECAY = 2.0
# Lower limit of an area, as a share of the image: empty boxes have no overlap.
SMALLEST_AREA = 1e-7


@keras.saving.register_keras_serializable(package="keras_se")
class Detections(keras.layers.Layer):
    """Selects a fixed number of boxes in the order of their scores, and lowers the scores of duplicates (Matrix NMS).

        score = sigmoid(the best class's logit) · sigmoid(quality)
        score_j ← score_j · min over better i of f(IoU_ij) / f(max over better k of IoU_ki),  f(u) = exp(−2 u²)

    The IoU is taken between boxes of the same class only, and each location has one class, its best. All shapes are
    fixed and there is no loop, so the layer exports as built-in operations.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import Detections
    >>> boxes = np.array([[[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]])
    >>> logits, quality = np.array([[[-9.0, 1.0], [2.0, -9.0]]]), np.full((1, 2, 1), 9.0)
    >>> found = Detections(2, (64, 64))([boxes, logits, quality])
    >>> print(np.array(found["boxes"])[0], np.round(found["scores"][0], 2), np.array(found["classes"])[0])
    [[32. 32. 64. 64.]
     [ 0.  0. 32. 32.]] [0.88 0.73] [0 1]

    Args:
        detections: Positive integer, the number of boxes. If there are fewer objects, the other boxes have low scores.
        size: The image's height and width in pixels.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        A list of three: boxes as shares of the image (batch, locations, 4), class logits (batch, locations, classes)
        and quality logits (batch, locations, 1).

    Output shape:
        A dictionary: `"boxes"` (batch, detections, 4), the left, top, right and bottom edge in pixels; `"scores"`
        (batch, detections), from 0 to 1; `"classes"` (batch, detections), int32.

    Raises:
        ValueError: for an argument out of its range, inputs of other shapes, or fewer locations than detections.

    Reference:
        [SOLOv2](https://arxiv.org/abs/2003.10152), Wang et al., section 3.3, with the Gaussian decay.
    """

    def __init__(self, detections: int, size: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.detections = positive_integer("detections", detections)
        if not isinstance(size, list | tuple) or len(size) != 2:
            raise ValueError(f"size must be a height and a width. Received: size={size!r}")
        self.size = positive_integer("the height", size[0]), positive_integer("the width", size[1])

    def build(self, input_shape: Any) -> None:
        shapes = [tuple(shape) if isinstance(shape, list | tuple) else () for shape in input_shape]
        fits = [len(shape) for shape in shapes] == [3, 3, 3] and len({shape[1] for shape in shapes}) == 1
        if not fits or (shapes[0][2], shapes[2][2]) != (4, 1):
            raise ValueError(
                "Detections requires three inputs: boxes (batch, locations, 4), logits (batch, locations, classes) and "
                f"quality (batch, locations, 1). Received: input_shape={input_shape}"
            )
        self._locations = shapes[0][1]
        if not self._locations or self._locations < self.detections:
            raise ValueError(
                "detections must be at most the number of locations. "
                f"Received: detections={self.detections}, input_shape={input_shape}"
            )
        self.built = True

    def call(self, inputs: Any) -> dict[str, Any]:
        boxes, logits, quality = inputs
        # Not argmax: Keras builds it from bitwise operations (for -0), which exported files do not support.
        largest, classes = (ops.squeeze(x, -1) for x in ops.top_k(logits, 1))
        classes = ops.cast(classes, "int32")  # int64 in PyTorch
        scores = ops.sigmoid(largest) * ops.sigmoid(ops.squeeze(quality, -1))
        candidates = min(self._locations, CANDIDATES * self.detections)
        boxes, scores, classes = select_best(candidates, boxes, scores, classes)
        scores = scores * decay(boxes, classes)
        boxes, scores, classes = select_best(self.detections, boxes, scores, classes)
        height, width = self.size
        pixels = ops.cast(np.array([width, height] * 2, "float32"), self.compute_dtype)
        return {"boxes": boxes * pixels, "scores": scores, "classes": classes}

    def compute_output_spec(self, inputs: Any) -> dict[str, Any]:
        batch, dtype = inputs[0].shape[0], self.compute_dtype
        shape = (batch, self.detections)
        return {
            "boxes": keras.KerasTensor((*shape, 4), dtype),
            "scores": keras.KerasTensor(shape, dtype),
            "classes": keras.KerasTensor(shape, "int32"),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "detections": self.detections, "size": list(self.size)}


def select_best(count: int, boxes: Any, scores: Any, classes: Any) -> tuple[Any, Any, Any]:
    """The `count` boxes with the highest scores, in descending order."""
    scores, order = ops.top_k(scores, count)
    # All images in one row, (batch · locations, 4): built-in operations gather along one axis.
    batch, locations = ops.shape(boxes)[0], boxes.shape[1]
    order = order + ops.expand_dims(ops.arange(batch, dtype="int32") * locations, -1)
    return ops.take(ops.reshape(boxes, (-1, 4)), order, axis=0), scores, ops.take(ops.reshape(classes, (-1,)), order)


def decay(boxes: Any, classes: Any) -> Any:
    """The factor of each score in Matrix NMS, from 0 to 1: (batch, boxes). Boxes are in the order of their scores."""
    count = boxes.shape[1]
    better = ops.cast(np.triu(np.ones((count, count), "float32"), 1), boxes.dtype)
    same_class = ops.cast(ops.equal(ops.expand_dims(classes, 2), ops.expand_dims(classes, 1)), boxes.dtype)
    overlap = pairwise_iou(boxes) * same_class * better
    covered = ops.expand_dims(ops.max(overlap, axis=1), 2)  # how much a better box is itself a duplicate
    return ops.exp(-DECAY * ops.max(overlap * overlap - covered * covered, axis=1))


def pairwise_iou(boxes: Any) -> Any:
    """Intersection over union of each pair of boxes: (batch, boxes, 4) → (batch, boxes, boxes)."""
    left, top, right, bottom = ops.split(boxes, 4, axis=2)
    others = ops.split(ops.transpose(boxes, (0, 2, 1)), 4, axis=1)
    width = ops.relu(ops.minimum(right, others[2]) - ops.maximum(left, others[0]))
    height = ops.relu(ops.minimum(bottom, others[3]) - ops.maximum(top, others[1]))
    shared = width * height
    area = (right - left) * (bottom - top)
    union = area + ops.transpose(area, (0, 2, 1)) - shared
    return shared / ops.maximum(union, SMALLEST_AREA)
