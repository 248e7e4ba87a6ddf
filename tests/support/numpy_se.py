"""Squeeze-and-excitation in NumPy, in float64 and with channels last: written from the papers, without keras_se."""

from collections.abc import Callable

import keras
import numpy as np

from tests.support.arrays import array, randomise

NONLINEARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}

# Values of one channel of one sample → its descriptor.
SQUEEZES: dict[str, Callable[[np.ndarray], float]] = {
    "avg": lambda values: values.sum() / values.size if values.size else 0.0,
    "max": lambda values: max(values) if values.size else 0.0,
    "std": lambda values: np.sqrt(np.mean((values - values.mean()) ** 2)),
    "logsumexp": lambda values: np.log(np.exp(values).sum()),
    "mean_square": lambda values: np.mean(values**2),
}


def squeeze_in_numpy(x: np.ndarray, squeeze: str, mask: np.ndarray | None = None) -> np.ndarray:
    """(batch, *spatial, channels) → (batch, channels), one channel of one sample at a time."""
    mask = np.ones(x.shape[:-1], bool) if mask is None else mask
    function = SQUEEZES[squeeze]
    return np.array(
        [[function(plane[keep]) for plane in np.moveaxis(image, -1, 0)] for image, keep in zip(x, mask, strict=True)]
    )


def gates_in_numpy(z: np.ndarray, weights: dict[str, np.ndarray], activation: str, gate: str) -> np.ndarray:
    """s = gate(W2 · activation(W1 · z + b1) + b2), of descriptors (batch, channels)."""
    hidden = NONLINEARITIES[activation](z @ weights["reduce_kernel"] + weights.get("reduce_bias", 0))
    return NONLINEARITIES[gate](hidden @ weights["expand_kernel"] + weights.get("expand_bias", 0))


def scale_in_numpy(x: np.ndarray, gates: np.ndarray) -> np.ndarray:
    """Every channel of (batch, *spatial, channels) times its gate."""
    return np.array([image * gate for image, gate in zip(x, gates, strict=True)])


def weights_in_numpy(layer: keras.layers.Layer, seed: int = 0) -> dict[str, np.ndarray]:
    """The weights of a built layer by name, in float64, after giving them random values."""
    randomise(layer, seed)
    return {weight.name: array(weight) for weight in layer.weights}
