"""Training data of a denoising network: noisy images and their velocities."""

import math
from typing import Any

import keras
import numpy as np

from keras_se._validation import non_negative_integer, positive_integer, rate
from keras_se.layers import cosine_schedule
from keras_se.models.generative.inputs import check_images, check_labels


class NoisyImages(keras.utils.PyDataset):
    """Batches for `fit`: noisy images with their times and labels, and the velocities to predict.

        x_t = signal(t) · x + noise(t) · ε,     v = signal(t) · ε − noise(t) · x

    The times of a batch are evenly spaced with a random offset, so the losses of batches vary less. Noise is drawn
    anew for each epoch. The seed determines the content of each batch. `fit` chooses the order of batches: it shuffles
    them by the seed of `keras.utils.set_random_seed`, or keeps their order with `shuffle=False`.

    Example:

    >>> import numpy as np
    >>> from keras_se.models.generative import NoisyImages, SEDiffusionUNet
    >>> images = np.random.default_rng(0).uniform(-1, 1, (100, 8, 8, 1))
    >>> batches = NoisyImages(images, np.eye(10)[np.arange(100) % 10], batch_size=50)
    >>> model = SEDiffusionUNet((8, 8, 1), classes=10, filters=(4, 8), depths=(1, 1))
    >>> model.compile("adam", "mse")
    >>> history = model.fit(batches, epochs=1, verbose=0)

    Args:
        images: Array (samples, height, width, channels), with values from −1 to 1.
        labels: Array (samples, classes), one-hot, or `None` for a network without classes.
        batch_size: Positive integer. The last batch of an epoch may be smaller.
        unlabelled: The share of labels, from 0 to below 1, that are replaced with zeros. The network then also learns
            images of no class, which guidance requires.
        fixed: Whether all epochs are the same, for `validation_data`, so that their losses can be compared.
        seed: Integer of 0 or more. It determines the batches, times and noise.
        **kwargs: Arguments of `keras.utils.PyDataset`.

    Raises:
        ValueError: for an argument out of its range, images with other values, or labels without one row per image.

    Reference:
        [Progressive Distillation](https://arxiv.org/abs/2202.00512), Salimans and Ho, for the velocity; [Variational
        Diffusion Models](https://arxiv.org/abs/2107.00630), Kingma et al., appendix I.1, for the times;
        [Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598), Ho and Salimans, for labels left out.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        batch_size: int = 64,
        unlabelled: float = 0.1,
        fixed: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.images = np.asarray(images, "float32")
        self.labels = None if labels is None else np.asarray(labels, "float32")
        check_images("images", self.images)
        if not np.abs(self.images).max() <= 1:  # false for NaN, too
            raise ValueError(
                "images must have values from -1 to 1. "
                f"Received: values from {self.images.min():g} to {self.images.max():g}"
            )
        if self.labels is not None:
            check_labels("labels", self.labels, len(self.images))
        self.batch_size = positive_integer("batch_size", batch_size)
        self.unlabelled = rate("unlabelled", unlabelled)
        self.seed, self.fixed, self.epoch = non_negative_integer("seed", seed), fixed, 0

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        order = np.random.default_rng((self.seed, self.epoch, 0)).permutation(len(self.images))
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng((self.seed, self.epoch, 1 + index))
        count, images = len(rows), self.images[rows]
        time = ((rng.uniform() + np.arange(count)) / count % 1).astype("float32")[:, None]  # (count, 1)
        noise = rng.standard_normal(images.shape, "float32")
        signal, share = (keras.ops.convert_to_numpy(x)[:, None, None] for x in cosine_schedule(time))
        inputs = {"image": signal * images + share * noise, "time": time}
        if self.labels is not None:
            inputs["label"] = self.labels[rows] * (rng.uniform(size=(count, 1)) >= self.unlabelled).astype("float32")
        return inputs, signal * noise - share * images

    def on_epoch_end(self) -> None:
        if not self.fixed:
            self.epoch += 1
