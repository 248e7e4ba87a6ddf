"""DDIM: from noise to images in few steps, deterministically."""

from typing import Any

import keras
from keras import ops

from keras_se.layers.cosine_schedule import cosine_schedule


@keras.saving.register_keras_serializable(package="keras_se")
class DDIMStep(keras.layers.Layer):
    """One step of DDIM with η = 0, from a time to an earlier one, by a network's velocity.

        x = signal(t) · x_t − noise(t) · v            the image as the network sees it
        ε = (x_t − signal(t) · x) / noise(t)          the noise that belongs to it
        x_s = signal(s) · x + noise(s) · ε

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import DDIMStep
    >>> noisy, velocity, time = np.full((1, 1, 1, 1), 0.5), np.full((1, 1, 1, 1), -0.25), np.array([[1.0]])
    >>> float(DDIMStep()([noisy, velocity, time, 0 * time])[0, 0, 0, 0])  # all noise: the image is −v
    0.25

    Args:
        clip: Whether x is held to values from −1 to 1, as images have them; ε is then the noise that belongs to that.
        **kwargs: `name`, `dtype`, `trainable` and what else `keras.layers.Layer` takes.

    Input shape:
        A list of four: noisy images and velocities, both (batch, height, width, channels); the time t of the images and
        the earlier time s, both (batch, 1), 1 ≥ t > s ≥ 0.

    Output shape:
        The images'.

    Reference:
        [Denoising Diffusion Implicit Models](https://arxiv.org/abs/2010.02502), Song et al., equation 12 with σ = 0.
    """

    def __init__(self, *, clip: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.clip = bool(clip)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        noisy, velocity, *times = inputs
        (signal, noise), (next_signal, next_noise) = (
            cosine_schedule(ops.reshape(time, (-1, 1, 1, 1))) for time in times
        )
        image = signal * noisy - noise * velocity
        if self.clip:
            image = ops.clip(image, -1, 1)
        # ε, put in: what is left of the noisy image, and what comes from the image.
        kept = next_noise / noise
        return kept * noisy + (next_signal - kept * signal) * image

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip": self.clip}
