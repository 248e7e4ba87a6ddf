"""How much of an image is left at each time, and how much noise there is."""

import math
from typing import Any

from keras import ops

# Of the paper: without it there would be next to no noise for the first times.
OFFSET = 0.008
LAST = math.pi / 2 / (1 + OFFSET)


def cosine_schedule(time: Any) -> tuple[Any, Any]:
    """The parts of image and noise at each time: a noisy image is signal · image + noise · ε, where ε is normal.

        signal = cos(u(t)) / cos(u(0)),   u(t) = π/2 · (t + 0.008) / 1.008,   noise = √(1 − signal²)

    From the image itself at 0 to nothing but noise at 1. Both are computed from sines of small angles, so that no
    digits are lost to a difference at either end.

    Example:

    >>> from keras_se.layers import cosine_schedule
    >>> [(round(float(signal), 3), round(float(noise), 3)) for signal, noise in map(cosine_schedule, (0.0, 0.5, 1.0))]
    [(1.0, 0.0), (0.703, 0.711), (0.0, 1.0)]

    Args:
        time: From 0 to 1, a number or an array of floats.

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
