"""Gate functions that `keras.activations` does not have."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_se")
def twice_sigmoid(x: Any) -> Any:
    """2 · sigmoid(x), from 0 to 2: exactly 1 at 0, where its slope is 1/2.

    After a projection whose weights are zero, all gates are 1: the SE layer changes nothing, but learns from the first
    step. A sigmoid whose value rounds to 1 has no gradient left.

    Example:

    >>> from keras_se.layers import SqueezeExcite, twice_sigmoid
    >>> layer = SqueezeExcite(16, gate=twice_sigmoid)

    Args:
        x: Tensor of any shape.

    Returns:
        Tensor of the same shape.
    """
    return 2 * ops.sigmoid(x)
