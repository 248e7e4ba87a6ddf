"""Passes over Keras graphs, run on a model."""

import keras

from keras_se.graph.rewrite import GraphEdits, Pass


def applied(*passes_and_model: Pass | keras.Model) -> keras.Model:
    """A model, the last argument, after passes."""
    *passes, model = passes_and_model
    return GraphEdits(model).apply(*passes).result()
