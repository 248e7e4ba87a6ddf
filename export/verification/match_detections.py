"""Detections, made comparable: two that have nearly the same score may stand in another order in a file."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.graph.keras_private import output_index, producer
from keras_se.layers import Detections

Outputs = Mapping[str, np.ndarray]
# In the order in which Keras has the outputs of the layer.
KEYS = ("boxes", "classes", "scores")
# What is left of a detection of another class: of two that are nearly as likely, rounding decides.
WRONG_CLASS = 0.5
FAR = 1e9  # nothing is, but what is no number


def comparable(model: InferenceModel, reference: Outputs, *others: Outputs) -> Sequence[Outputs]:
    """What is compared: the outputs themselves, or, of a model that returns `Detections`, the same as sets.

    Each image's detections are put into the order of those of the reference that they are most alike, in class, score
    and box, the best first. Boxes and classes are then weighted by the reference's scores, relative to the highest:
    which box has a place where no object is says nothing. Of classes it is compared whether they are the reference's:
    how far apart their numbers are says nothing either. Scores are there twice, as they are, and in the reference's
    order.

    Args:
        model: What is exported.
        reference: The outputs of the Keras model, by name.
        others: Those of a file, and of the Keras model with other weights.
    """
    names = _names(model)
    if len(names) < len(KEYS):
        return reference, *others
    return [_in_order(names, reference, outputs) for outputs in (reference, *others)]


def _names(model: InferenceModel) -> dict[str, str]:
    """What the outputs are called that are detections."""
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
    """How unlike each detection of the reference is to each other one: (images, reference's, others)."""
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
