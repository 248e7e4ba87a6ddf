"""The whole way in a few seconds: a tiny network learns to make dark and bright images."""

import keras
import numpy as np

from keras_se.models.generative import NoisyImages, SEDiffusionUNet, ddim_step, sample


def test_a_network_learns_to_make_what_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(256) % 2
    images = (labels - 0.5)[:, None, None, None] + 0.1 * rng.standard_normal((256, 4, 4, 1))
    model = SEDiffusionUNet((4, 4, 1), classes=2, filters=(8,), depths=(1,))
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(NoisyImages(images, np.eye(2)[labels], batch_size=32), epochs=15, verbose=0)
    noise = rng.standard_normal((20, 4, 4, 1))
    for label, level in enumerate((-0.5, 0.5)):
        plain, guided = (
            sample(ddim_step(model, guidance=guidance), noise, np.eye(2)[[label] * 20], steps=10).mean(axis=(1, 2, 3))
            for guidance in (0.0, 1.0)
        )
        assert np.abs(plain - level).mean() < 0.25
        assert (np.sign(guided) == np.sign(level)).all()
        assert np.abs(guided).mean() > np.abs(plain).mean()  # further from images of no class
