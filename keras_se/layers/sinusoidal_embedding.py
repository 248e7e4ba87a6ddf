"""Embeds a time as a vector of sines and cosines."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se._validation import positive_integer

# Periods between time 0 and time 1. In 8 bits an angle has 256 values; with more periods, each has too few of them.
LOWEST, HIGHEST = 0.25, 4.0


@keras.saving.register_keras_serializable(package="keras_se")
class SinusoidalEmbedding(keras.layers.Layer):
    """Sines and cosines of a number from 0 to 1, with a quarter of a period to four periods over that range.

        y = (sin(2π f₁ t), …, sin(2π fₙ t), cos(2π f₁ t), …, cos(2π fₙ t)),   n = width / 2

    The frequencies fᵢ form a geometric series.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import SinusoidalEmbedding
    >>> tuple(SinusoidalEmbedding(32)(np.array([[0.0], [0.5], [1.0]])).shape)
    (3, 32)

    Args:
        width: Even positive integer, the length of the vector.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (batch, 1).

    Output shape:
        (batch, width).

    Raises:
        ValueError: for an argument out of its range, or an input of another shape.

    Reference:
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762), Vaswani et al., section 3.5; for the time:
        [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239), Ho et al.
    """

    def __init__(self, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.width = positive_integer("width", width)
        if self.width % 2:
            raise ValueError(f"width must be an even number. Received: width={width}")

    def build(self, input_shape: tuple) -> None:
        if len(input_shape) != 2 or input_shape[1] != 1:
            raise ValueError(
                f"SinusoidalEmbedding requires inputs of shape (batch, 1). Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        frequencies = 2 * math.pi * np.geomspace(LOWEST, HIGHEST, self.width // 2)
        angles = inputs * ops.convert_to_tensor(frequencies[None], dtype=inputs.dtype)
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}
