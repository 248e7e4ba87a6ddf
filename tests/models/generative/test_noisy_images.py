"""What networks are trained on: what of a noisy image is image, and what is noise."""

from typing import Any

import numpy as np
import pytest

from keras_se.models.generative import NoisyImages
from tests.support import numpy_diffusion


def images(count: int = 50) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 4, 6, 2)).astype("float32")


def whole(batches: NoisyImages) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """An epoch."""
    parts = [batches[i] for i in range(len(batches))]
    inputs = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
    return inputs, np.concatenate([part[1] for part in parts])


def test_velocity_determines_image_and_noise() -> None:
    x = images(640)
    inputs, velocity = whole(NoisyImages(x, np.arange(640)[:, None], batch_size=100, unlabelled=0))
    signal, share = (part[:, None, None] for part in numpy_diffusion.schedule(inputs["time"]))
    rows = inputs["label"][:, 0].astype(int)
    assert sorted(rows) == list(range(640))  # each image once, in an order of its own
    assert (rows != np.arange(640)).any()
    np.testing.assert_allclose(signal * inputs["image"] - share * velocity, x[rows], atol=1e-5)
    noise = share * inputs["image"] + signal * velocity
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert abs(np.corrcoef(noise.ravel(), x[rows].ravel())[0, 1]) < 0.02


def test_times_are_spread_over_each_batch() -> None:
    batches = NoisyImages(images(), batch_size=25)
    for index in range(2):
        (inputs, velocity) = batches[index]
        assert sorted(inputs) == ["image", "time"]
        assert inputs["time"].shape == (25, 1)
        assert velocity.shape == inputs["image"].shape == (25, 4, 6, 2)
        assert sorted((inputs["time"][:, 0] * 25).astype(int)) == list(range(25))
        assert {x.dtype for x in (*inputs.values(), velocity)} == {np.dtype("float32")}


def test_the_last_batch_has_what_is_left() -> None:
    batches = NoisyImages(images(50), batch_size=16)
    assert [len(batches[i][1]) for i in range(len(batches))] == [16, 16, 16, 2]


def test_the_seed_decides_and_epochs_differ() -> None:
    def first(seed: int, epochs: int) -> np.ndarray:
        batches = NoisyImages(images(), seed=seed)
        for _ in range(epochs):
            batches.on_epoch_end()
        return batches[0][1]

    np.testing.assert_array_equal(first(3, 2), first(3, 2))
    assert not np.array_equal(first(3, 2), first(4, 2))
    assert not np.array_equal(first(3, 2), first(3, 3))


def test_for_validation_all_epochs_are_alike() -> None:
    batches = NoisyImages(images(), fixed=True)
    before = batches[0][1]
    batches.on_epoch_end()
    np.testing.assert_array_equal(batches[0][1], before)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_share_without_a_label(share: float) -> None:
    labels = np.eye(10)[np.arange(2000) % 10]
    inputs, _ = whole(NoisyImages(np.zeros((2000, 2, 2, 1)), labels, unlabelled=share))
    sums = inputs["label"].sum(axis=-1)
    assert set(sums) <= {0.0, 1.0}
    assert abs((sums == 0).mean() - share) <= 0.03 * bool(share)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": np.zeros((5, 4, 4))}, r"images must be an array .*\. Received: shape \(5, 4, 4\)"),
        ({"images": np.zeros((0, 4, 4, 1))}, r"of one sample or more\. Received: shape \(0, 4, 4, 1\)"),
        ({"labels": np.zeros(50)}, r"labels must be an array .* for 50 samples, one-hot\. Received: shape \(50,\)"),
        ({"labels": np.zeros((49, 3))}, r"for 50 samples, one-hot\. Received: shape \(49, 3\)"),
        (
            {"images": 255 * images()},
            r"values from -1 to 1\. Received: values from -25\d\.\d+ to 25\d\.",
        ),
        ({"images": np.full((5, 4, 4, 1), np.nan)}, r"from -1 to 1\. Received: values from nan to nan"),
        ({"seed": -1}, r"seed must be an integer of 0 or more\. Received: seed=-1"),
        ({"seed": None}, r"seed must be an integer of 0 or more\. Received: seed=None"),
        ({"batch_size": 0}, r"batch_size must be a positive integer\. Received: batch_size=0"),
        ({"unlabelled": 1.0}, r"unlabelled must be a number from 0 to below 1\. Received: unlabelled=1.0"),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoisyImages(**({"images": images()} | options))
