"""Judges generated images: whether they show the requested class, and whether they are copies."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from _shared import demo
from rich.progress import Progress

from keras_se.models import SEResNet
from keras_se.models.generative import NoisyImages, sample

# The seed of the noise behind judged images, equal for every network and file.
SEED = 2


@dataclass(frozen=True)
class Data:
    """Images from -1 to 1 to train on and held out, their labels, and the names of the classes."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray
    names: list[str]

    def one_hot(self, labels: np.ndarray) -> np.ndarray:
        return np.eye(len(self.names), dtype="float32")[labels]


def noise_and_labels(data: Data, count: int, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Noise to make images from, and equally many labels of each class."""
    noise = np.random.default_rng(seed).standard_normal((count, *data.x.shape[1:]), "float32")
    return noise, np.arange(count) % len(data.names)


@dataclass(frozen=True)
class Judge:
    """Makes images from the same noise with any network or file, and scores them."""

    data: Data
    classifier: keras.Model
    samples: int
    steps: int

    def images(self, step: Any) -> np.ndarray:
        noise, labels = noise_and_labels(self.data, self.samples)
        return sample(step, noise, self.data.one_hot(labels), steps=self.steps)

    def score(self, images: np.ndarray) -> float:
        """The share of images that the classifier assigns to the requested class."""
        _, labels = noise_and_labels(self.data, self.samples)
        return demo.accuracy(self.classifier.predict(bright(images), verbose=0), labels)

    def right(self) -> float:
        """The accuracy of the classifier on held-out real images."""
        return demo.accuracy(self.classifier.predict(bright(self.data.held_x), verbose=0), self.data.held_y)

    def error(self, model: keras.Model) -> float:
        """The loss on held-out images, with the same noise for every network."""
        batches = NoisyImages(self.data.held_x, self.data.one_hot(self.data.held_y), unlabelled=0.0)
        return float(model.evaluate(batches, verbose=0))


def bright(images: np.ndarray) -> np.ndarray:
    """Images from 0 to 1, because the classifier pads with zeros, which must be dark."""
    return (images + 1) / 2


def classifier(data: Data, epochs: int, bar: Progress) -> keras.Model:
    """A classifier trained on the real images."""
    keras.utils.set_random_seed(0)
    options: dict[str, Any] = {"block": "basic", "filters": (16, 32, 64), "stem": "small", "r": 4, "name": "judge"}
    model = SEResNet((2, 2, 2), input_shape=data.x.shape[1:], classes=len(data.names), **options)
    demo.train(model, bright(data.x), data.y, epochs, bar, what="the judge")
    return model


def nearest(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each image to the nearest of the others."""
    a, b = (part.reshape(len(part), -1).astype("float64") for part in (images, others))
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0).min(axis=1))


def copies(images: np.ndarray, data: Data) -> str:
    """How near samples, and held-out images, are to the training images: copies would be much nearer."""
    made, real = nearest(images, data.x), nearest(data.held_x, data.x)
    half, few = (np.mean(made < np.quantile(real, share)) for share in (0.5, 0.01))
    return (
        f"Distance to the nearest training image, median: {np.median(made):.2f} for samples, {np.median(real):.2f} for "
        f"held-out images. Nearer than half of the held-out images: {half:.1%} of the samples; nearer than all but the "
        f"nearest hundredth of them: {few:.1%}."
    )
