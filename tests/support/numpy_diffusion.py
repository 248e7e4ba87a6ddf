"""The schedule and the sampler of the papers in float64, written from their formulas. Calls nothing of keras_se."""

import numpy as np


def schedule(time: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Signal and noise. Nichol and Dhariwal, equation 17: ᾱ = f(t) / f(0), f(t) = cos²(π/2 · (t + s) / (1 + s))."""
    f = [np.cos(np.pi / 2 * (t + 0.008) / 1.008) ** 2 for t in (np.asarray(time, "float64"), 0.0)]
    kept = np.clip(f[0] / f[1], 0, 1)
    return np.sqrt(kept), np.sqrt(1 - kept)


def step(x: np.ndarray, velocity: np.ndarray | float, time: float, next_time: float, clip: bool) -> np.ndarray:
    """Song et al., equation 12 with σ = 0: the predicted image, and the direction that points to x_t."""
    (signal, share), (next_signal, next_share) = schedule(time), schedule(next_time)
    epsilon = share * x + signal * velocity
    image = (x - share * epsilon) / signal if signal > 1e-7 else -velocity + 0 * x  # as the signal vanishes
    if clip:
        image = np.clip(image, -1, 1)
        epsilon = (x - signal * image) / share
    return next_signal * image + next_share * epsilon
