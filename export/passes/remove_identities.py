"""Removes layers that return their inputs.

    conv → Dropout → batch norm        becomes        conv → batch norm

Dropout, noise and linear activations do nothing in inference. Converters remove them, too, but later passes look at the
layer right before another one. A layer that makes an output stays, because the output is named after it.
"""

from typing import Any

import keras

from keras_se.graph.layer_predicates import DROPOUTS
from keras_se.graph.rewrite import GraphEdits, asks_training

IN_TRAINING_ONLY = (*DROPOUTS, keras.layers.ActivityRegularization, keras.layers.Identity)


def remove_identities(graph: GraphEdits) -> None:
    """Removes dropout, noise, and activations that are linear. Exact."""
    for layer in [] if graph.in_training else graph.layers:
        if _is_identity(layer) and _returns_inputs(layer, graph):
            graph.drop(layer)


def _is_identity(layer: Any) -> bool:
    linear = type(layer) is keras.layers.Activation and layer.activation is keras.activations.linear
    return linear or type(layer) in IN_TRAINING_ONLY


def _returns_inputs(layer: Any, graph: GraphEdits) -> bool:
    return all(
        len(call.input_tensors) == 1
        and not asks_training(call)
        and call.input_tensors[0].dtype == layer.compute_dtype
        and not any(map(graph.returns, call.output_tensors))
        for call in graph.calls(layer)
    )
