"""A Keras model as named, float32, traced. May import `keras_se.graph`, layers and weights' preprocessing."""
