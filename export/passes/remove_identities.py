"""Layers that do something in training only, taken out."""

from typing import Any

import keras

from keras_se.export.passes._common import in_training, nested_in_inference
from keras_se.graph.rewrite import calls, substituted

IN_TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)


def drop_identities(model: keras.Model) -> keras.Model:
    """Takes out the layers that return their inputs: dropout and noise, and activations that are linear.

    Exact. Converters take them out, too, but the rewrites here would not see through them. A layer stays that makes an
    output, which is named after it. Returns the model itself if there is nothing to take out.
    """
    replacements = nested_in_inference(model, drop_identities)
    dropped = {layer.name for layer in model.layers if _is_identity(layer) and _returns_inputs(layer, model)}
    return substituted(model, replacements, dropped) if dropped or replacements else model


def _is_identity(layer: Any) -> bool:
    linear = type(layer) is keras.layers.Activation and layer.activation is keras.activations.linear
    return linear or type(layer) in IN_TRAINING_ONLY


def _returns_inputs(layer: Any, model: keras.Model) -> bool:
    return all(
        len(call.input_tensors) == 1
        and not in_training(call)  # dropout can be asked for
        and call.input_tensors[0].dtype == layer.compute_dtype
        and not any(made is output for made in call.output_tensors for output in model.outputs)
        for call in calls(layer, model)
    )
