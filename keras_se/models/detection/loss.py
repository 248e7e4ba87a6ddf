"""The loss of a detector: which class, which box, and how well placed."""

import math
from typing import Any

import keras
from keras import ops

from keras_se._validation import number_between

# Of no distance or area: smaller than any box, in locations of a map.
SMALLEST = 1e-6


@keras.saving.register_keras_serializable(package="keras_se")
class FCOSLoss(keras.losses.Loss):
    """Of what a model of `SEFCOS` returns, against `detection_targets`.

        loss = Σ focal(class) / n + Σ c · (1 − GIoU) / Σ c + Σ bce(centerness, c) / n

    where the first sum is over all locations of a batch, the others are over the n of them that are an object's, and
    c is the true centerness, √(min(l, r) / max(l, r) · min(t, b) / max(t, b)).

    Example:

    >>> import numpy as np
    >>> from keras_se.models import FCOSLoss
    >>> truth = np.array([[[0, 1.0, 1.0, 1.0, 1.0]]])  # a location in the middle of a box, of class 0
    >>> surely = np.array([[[20.0, 1.0, 1.0, 1.0, 1.0, 20.0]]])
    >>> print(round(float(FCOSLoss()(truth, surely)), 4))
    0.0

    Args:
        alpha: The weight of what is an object in the focal loss, from 0 to 1; the background has 1 − alpha.
        gamma: How much less what is already told well counts, 0 or more.
        **kwargs: `name`, `reduction` and what else `keras.losses.Loss` takes.

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
        logits, sides, quality = y_pred[..., :classes], y_pred[..., classes:-1], y_pred[..., -1]
        label, true_sides = y_true[..., 0], y_true[..., 1:]
        objects = ops.cast(label >= 0, y_pred.dtype)
        centerness = objects * centerness_of(true_sides)
        wanted = ops.one_hot(ops.cast(label, "int32"), classes, dtype=y_pred.dtype)  # of −1, all are 0
        # Each image's part, so that the mean over the batch is the batch's loss.
        images = ops.cast(ops.shape(objects)[0], y_pred.dtype)
        found = ops.maximum(ops.sum(objects), 1.0) / images
        weight = ops.maximum(ops.sum(centerness), SMALLEST) / images
        focal = ops.sum(self._focal(wanted, logits), axis=(1, 2))
        placed = ops.sum(objects * cross_entropy(centerness, quality), axis=1)
        boxes = ops.sum(centerness * (1 - giou(true_sides, sides)), axis=1)
        return (focal + placed) / found + boxes / weight

    def _focal(self, wanted: Any, logits: Any) -> Any:
        weight = wanted * self.alpha + (1 - wanted) * (1 - self.alpha)
        # What is missed, to the power of gamma, by its logarithm: the gradient is a number for any gamma and logits.
        missed = ops.exp(-self.gamma * cross_entropy(1 - wanted, logits))
        return weight * missed * cross_entropy(wanted, logits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


def cross_entropy(wanted: Any, logits: Any) -> Any:
    """−wanted · log(sigmoid(logits)) − (1 − wanted) · log(1 − sigmoid(logits)), for logits of any size."""
    return ops.relu(logits) - wanted * logits + ops.log1p(ops.exp(-ops.abs(logits)))


def centerness_of(sides: Any) -> Any:
    """1 in the middle of a box, 0 at its sides; 0 for no box."""
    first, second = sides[..., :2], sides[..., 2:]
    shares = ops.minimum(first, second) / ops.maximum(ops.maximum(first, second), SMALLEST)
    return ops.sqrt(ops.maximum(shares[..., 0] * shares[..., 1], 0.0))


def giou(one: Any, other: Any) -> Any:
    """Generalised intersection over union of boxes by their sides' distances from a point in both: −1 to 1."""
    shared, around = _area(ops.minimum(one, other)), _area(ops.maximum(one, other))
    union = _area(one) + _area(other) - shared
    iou = shared / ops.maximum(union, SMALLEST)
    return iou - (around - union) / ops.maximum(around, SMALLEST)


def _area(sides: Any) -> Any:
    return (sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3])
