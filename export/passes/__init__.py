"""Passes over the Keras graph that keep the function exactly. May import `keras_se.graph`, layers and the frontend."""
