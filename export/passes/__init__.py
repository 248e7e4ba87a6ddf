"""Keras graph → Keras graph, exactly. May import `keras_se.graph`, layers and the frontend."""
