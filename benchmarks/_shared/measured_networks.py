"""The networks that benchmarks accept, and weights for them that leave no layer without effect."""

import keras
import numpy as np

from keras_se.catalog import NETWORKS

BUILDERS = [network.builder for network in NETWORKS]
# The variables of batch norms: mean and spread of their values.
STATISTICS = {"gamma": (1, 0.2), "beta": (0, 0.1), "moving_mean": (0, 0.1), "moving_variance": (1, 0.2)}


def with_statistics(model: keras.Model, seed: int = 0) -> keras.Model:
    """Sets batch norms as training would. Those of a new model are zeros and ones."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for name, (around, spread) in STATISTICS.items():
                variable = getattr(layer, name)
                if variable is not None:  # some norms have no scale
                    variable.assign(around + spread * rng.uniform(-1, 1, variable.shape))
    return model
