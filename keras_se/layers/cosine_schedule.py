"""The cosine noise schedule of diffusion models: the shares of image and noise at each time."""

import math
from typing import Any

from keras import ops

# From the paper: without this offset there is almost no noise at the first times.
OFFSET = 0.008
LAST = math.pi / 2 / (1 + OFFSET)


def cosine_schedule(time: Any) -> tuple[Any, Any]:
    """The shares of image and noise at each time: a noisy image is signal · image + noise · ε, where ε is normal.

        signal = cos(u(t)) / cos(u(0)),   u(t) = π/2 · (t + 0.008) / 1.008,   noise = √(1 − signal²)

    Time 0 is the image, time 1 pure noise. Both shares are computed from sines of small angles, which avoids
    cancellation at either end.

    Example:

    >>> from keras_se.layers import cosine_schedule
    >>> [(round(float(signal), 3), round(float(noise), 3)) for signal, noise in map(cosine_schedule, (0.0, 0.5, 1.0))]
    [(1.0, 0.0), (0.703, 0.711), (0.0, 1.0)]

    Args:
        time: A number or an array of floats, from 0 to 1.

    Returns:
        Signal and noise, of the shape of `time`; the sum of their squares is 1.

    Reference:
        [Improved Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2102.09672), Nichol and Dhariwal,
        equation 17.
    """
    time = ops.convert_to_tensor(time)
    # cos(π/2 − a) = sin(a), and sin² a − sin² b = sin(a − b) · sin(a + b).
    signal = ops.sin(LAST * (1 - time)) / math.sin(LAST)
    noise = ops.sqrt(ops.sin(LAST * time) * ops.sin(LAST * (2 - time))) / math.sin(LAST)
    return signal, noise
