"""A step of the DDIM sampler, which makes images from noise in few steps, deterministically."""

from typing import Any

import keras
from keras import ops

from keras_se.layers.cosine_schedule import cosine_schedule


@keras.saving.register_keras_serializable(package="keras_se")
class DDIMStep(keras.layers.Layer):
    """One step of DDIM with η = 0: moves a noisy image to an earlier time, along the velocity that a network predicts.

        x = signal(t) · x_t − noise(t) · v            the predicted image
        ε = (x_t − signal(t) · x) / noise(t)          the noise in x_t, given x
        x_s = signal(s) · x + noise(s) · ε

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import DDIMStep
    >>> noisy, velocity, time = np.full((1, 1, 1, 1), 0.5), np.full((1, 1, 1, 1), -0.25), np.array([[1.0]])
    >>> float(DDIMStep()([noisy, velocity, time, 0 * time])[0, 0, 0, 0])  # all noise: the image is −v
    0.25

    Args:
        clip: Whether to limit x to −1 … 1, the range of images, before ε is computed.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        A list of four: noisy images and velocities, both (batch, height, width, channels); the time t of the images and
        the earlier time s, both (batch, 1), 1 ≥ t > s ≥ 0.

    Output shape:
        The shape of the noisy images.

    Raises:
        ValueError: for inputs other than these four.

    Reference:
        [Denoising Diffusion Implicit Models](https://arxiv.org/abs/2010.02502), Song et al., equation 12 with σ = 0.
    """

    def __init__(self, *, clip: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.clip = bool(clip)

    def build(self, input_shape: Any) -> None:
        _check(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        noisy, velocity, *times = inputs
        (signal, noise), (next_signal, next_noise) = (
            cosine_schedule(ops.reshape(time, (-1, 1, 1, 1))) for time in times
        )
        image = signal * noisy - noise * velocity
        if self.clip:
            image = ops.clip(image, -1, 1)
        # With ε substituted: a multiple of the noisy image plus a multiple of the predicted one.
        kept = next_noise / noise
        return kept * noisy + (next_signal - kept * signal) * image

    def compute_output_shape(self, input_shape: Any) -> tuple:
        _check(input_shape)
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip": self.clip}


def _check(input_shape: Any) -> None:
    shapes = [tuple(shape) for shape in input_shape if isinstance(shape, tuple | list)]
    if len(input_shape) == 4 and [len(shape) for shape in shapes] == [4, 4, 2, 2]:
        images, velocities, *times = shapes
        alike = all(a == b or None in (a, b) for a, b in zip(images, velocities, strict=True))
        if alike and all(time[1] in (1, None) for time in times):
            return
    raise ValueError(
        "DDIMStep requires four inputs, images and velocities of one shape (batch, height, width, channels) and two "
        f"times of shape (batch, 1). Received: input_shape={input_shape}"
    )
