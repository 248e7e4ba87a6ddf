"""The loss of an FCOS detector: classes, boxes and centerness."""

import math
from typing import Any

import keras
from keras import ops

from keras_se._validation import number_between

# Lower limit of divisors: smaller than any distance or area, in locations of a map.
EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="keras_se")
class FCOSLoss(keras.losses.Loss):
    """The loss between `detection_targets` and the predictions of a model made by `SEFCOS`.

        loss = Σ focal(class) / n + Σ c · (1 − GIoU) / Σ c + Σ bce(centerness, c) / n

    The first sum is over all locations of a batch, the others over the n locations that are assigned to an object. c is
    the true centerness, √(min(l, r) / max(l, r) · min(t, b) / max(t, b)).

    Example:

    >>> import numpy as np
    >>> from keras_se.models import FCOSLoss
    >>> target = np.array([[[0, 1.0, 1.0, 1.0, 1.0]]])  # a location in the middle of a box of class 0
    >>> prediction = np.array([[[20.0, 1.0, 1.0, 1.0, 1.0, 20.0]]])
    >>> print(round(float(FCOSLoss()(target, prediction)), 4))
    0.0

    Args:
        alpha: The weight of objects in the focal loss, from 0 to 1. The background has the weight 1 − alpha.
        gamma: The exponent of the focal loss, 0 or more. A larger one gives less weight to what is well classified.
        **kwargs: `name`, `reduction` and the other arguments of `keras.losses.Loss`.

    Raises:
        ValueError: for an argument out of its range.

    Reference:
        [FCOS](https://arxiv.org/abs/1904.01355), Tian et al.; the focal loss:
        [Focal Loss for Dense Object Detection](https://arxiv.org/abs/1708.02002), Lin et al.; the boxes' loss:
        [Generalized Intersection over Union](https://arxiv.org/abs/1902.09630), Rezatofighi et al.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, name: str = "fcos_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.alpha = float(number_between("alpha", alpha, 0, 1))
        self.gamma = float(number_between("gamma", gamma, 0, math.inf))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = y_pred.shape[-1] - 5
        # (batch, locations, classes), (batch, locations, 4) and (batch, locations).
        logits, sides, quality = y_pred[..., :classes], y_pred[..., classes:-1], y_pred[..., -1]
        label, true_sides = y_true[..., 0], y_true[..., 1:]
        objects = ops.cast(label >= 0, y_pred.dtype)
        centerness = objects * centerness_of(true_sides)
        target = ops.one_hot(ops.cast(label, "int32"), classes, dtype=y_pred.dtype)  # all 0 for the background, −1
        # Divisors per image, so that Keras' mean over the images is the loss of the batch.
        images = ops.cast(ops.shape(objects)[0], y_pred.dtype)
        count = ops.maximum(ops.sum(objects), 1.0) / images
        weight = ops.maximum(ops.sum(centerness), EPSILON) / images
        focal = ops.sum(self._focal(target, logits), axis=(1, 2))
        placement = ops.sum(objects * cross_entropy(centerness, quality), axis=1)
        boxes = ops.sum(centerness * (1 - giou(true_sides, sides)), axis=1)
        return (focal + placement) / count + boxes / weight

    def _focal(self, target: Any, logits: Any) -> Any:
        weight = target * self.alpha + (1 - target) * (1 - self.alpha)
        # (1 − p)^gamma by its logarithm, whose gradient is finite for all gamma and logits.
        modulation = ops.exp(-self.gamma * cross_entropy(1 - target, logits))
        return weight * modulation * cross_entropy(target, logits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


def cross_entropy(target: Any, logits: Any) -> Any:
    """−target · log(sigmoid(logits)) − (1 − target) · log(1 − sigmoid(logits)), stable for large logits."""
    return ops.relu(logits) - target * logits + ops.log1p(ops.exp(-ops.abs(logits)))


def centerness_of(sides: Any) -> Any:
    """(…, 4) → (…): 1 in the middle of a box, 0 at its sides, and 0 without a box."""
    first, second = sides[..., :2], sides[..., 2:]
    shares = ops.minimum(first, second) / ops.maximum(ops.maximum(first, second), EPSILON)
    return ops.sqrt(ops.maximum(shares[..., 0] * shares[..., 1], 0.0))


def giou(one: Any, other: Any) -> Any:
    """Generalised intersection over union, −1 to 1, of boxes given by the distances of their sides from one point."""
    shared, enclosing = _area(ops.minimum(one, other)), _area(ops.maximum(one, other))
    union = _area(one) + _area(other) - shared
    iou = shared / ops.maximum(union, EPSILON)
    return iou - (enclosing - union) / ops.maximum(enclosing, EPSILON)


def _area(sides: Any) -> Any:
    return (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3])
