"""Gates that `keras.activations` does not have."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_se")
def twice_sigmoid(x: Any) -> Any:
    """2 · sigmoid(x), from 0 to 2: exactly 1 at 0, where its slope is 1/2.

    With a projection before it that is zero, an SE block changes nothing, and learns from the first step on. A sigmoid
    that is 1 to float rounding has no slope left.

    Example:

    >>> from keras_se.layers import SqueezeExcite, twice_sigmoid
    >>> layer = SqueezeExcite(16, gate=twice_sigmoid)
    """
    return 2 * ops.sigmoid(x)
