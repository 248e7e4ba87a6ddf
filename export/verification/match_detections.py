"""Sorts detections before they are compared: those with nearly equal scores can be in another order in a file."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.graph.keras_private import output_index, producer
from keras_se.layers import Detections

Outputs = Mapping[str, np.ndarray]
# In the order in which Keras has the outputs of the layer.
KEYS = ("boxes", "classes", "scores")
# The value of a detection of another class, in place of 1: rounding decides between two equally likely classes.
WRONG_CLASS = 0.5
FAR = 1e9  # the distance to values that are not finite


def comparable(model: InferenceModel, reference: Outputs, *others: Outputs) -> Sequence[Outputs]:
    """The outputs to compare: unchanged, or, for a model that returns `Detections`, as sets.

    Each image's detections are sorted: each detection of the reference, the best first, gets the most similar one that
    is left, by class, score and box. Boxes and classes are then weighted by the reference's scores, relative to the
    highest: boxes without an object mean nothing. Classes are compared for equality, since the difference of their
    numbers means nothing. Scores are compared twice, unsorted and sorted.

    Args:
        model: The exported model.
        reference: The outputs of the Keras model, by name.
        others: The outputs of a file, and of the Keras model with rounded weights.
    """
    names = _names(model)
    if len(names) < len(KEYS):
        return reference, *others
    return [_in_order(names, reference, outputs) for outputs in (reference, *others)]


def _names(model: InferenceModel) -> dict[str, str]:
    """The names of the outputs that are detections, by `KEYS`."""
    found = {}
    for output, tensor in zip(model.outputs, model.model.outputs, strict=True):
        while isinstance(layer := producer(tensor), keras.Model):
            tensor = layer.outputs[output_index(tensor)]
        if isinstance(layer, Detections):
            found[KEYS[output_index(tensor)]] = output.name
    return found


def _in_order(names: Mapping[str, str], reference: Outputs, outputs: Outputs) -> dict[str, np.ndarray]:
    ours, theirs = (
        {key: np.asarray(one[name], "float64") for key, name in names.items()} for one in (reference, outputs)
    )
    distances = _distances(ours, theirs)
    order = np.stack([_matched(one) for one in distances])
    weights = ours["scores"] / max(ours["scores"].max(), np.finfo("float32").tiny)
    boxes = np.take_along_axis(theirs["boxes"], order[..., None], axis=1)
    classes, scores = (np.take_along_axis(theirs[key], order, axis=1) for key in ("classes", "scores"))
    right = np.round(classes) == np.round(ours["classes"])
    return {
        **outputs,
        names["boxes"]: boxes * weights[..., None],
        names["classes"]: np.where(right, 1, WRONG_CLASS) * weights,
        names["scores"]: np.concatenate([theirs["scores"], scores], axis=1),
    }


def _distances(ours: Outputs, theirs: Outputs) -> np.ndarray:
    """The distance between each detection of the reference and each other one: (images, reference's, others)."""
    unit = max(np.abs(ours["boxes"]).max(), np.finfo("float32").tiny)
    boxes = np.abs(ours["boxes"][:, :, None] - theirs["boxes"][:, None]).max(axis=-1) / unit
    scores = np.abs(ours["scores"][:, :, None] - theirs["scores"][:, None])
    classes = np.round(ours["classes"])[:, :, None] != np.round(theirs["classes"])[:, None]
    return np.nan_to_num(boxes + scores + classes, nan=FAR, posinf=FAR)


def _matched(distances: np.ndarray) -> np.ndarray:
    """For each row, in turn, the nearest column that is left."""
    left, order = distances.copy(), []
    for row in range(len(left)):
        nearest = int(left[row].argmin())
        left[:, nearest] = np.inf
        order.append(nearest)
    return np.array(order)
