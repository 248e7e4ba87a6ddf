"""FCOSLoss against numbers by hand and a loop in NumPy, and what Keras expects of a loss."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_se.models import FCOSLoss
from tests.support.arrays import array
from tests.support.layer_contract import constructor_arguments


def loss(truth: Any, predicted: Any, **options: Any) -> float:
    return float(array(FCOSLoss(**options)(np.array(truth, "float32"), np.array(predicted, "float32"))))


# By hand


def test_one_location() -> None:
    """Nothing is known of class and place, ln 2 each; the box is 2x2 of 3x3: IoU 4/9, and nothing else around."""
    focal, placed, box = 0.25 * 0.5**2 * 0.693147, 0.693147, 1 - 4 / 9
    found = loss([[[0, 1, 1, 1, 1]]], [[[0, 1, 1, 2, 2, 0]]])
    assert found == pytest.approx(focal + placed + box, abs=1e-5)
    assert found == pytest.approx(1.29202, abs=1e-5)


def test_background() -> None:
    """Of two classes, 0.75 · 0.5² · ln 2 each; there is no box to be judged, and nothing to divide by."""
    assert loss([[[-1, 0, 0, 0, 0]]], [[[0, 0, 5, 5, 5, 5, 9]]]) == pytest.approx(2 * 0.129965, abs=1e-5)


def test_off_the_middle() -> None:
    """Sides 1, 1, 4, 1: centerness √(1/4) = 1/2. GIoU of one that is 5x2 and one of 2x2 in it: 4/10."""
    found = loss([[[0, 1, 1, 4, 1]]], [[[40, 1, 1, 1, 1, 0]]])
    assert found == pytest.approx(0.693147 + (1 - 0.4), abs=1e-5)


def test_boxes_that_reach_out_on_different_sides() -> None:
    """2x2 each, 1 in common, 7 in both, 9 around: GIoU = 1/7 − 2/9. A centerness of 0 would hide it: it is √(1/9)."""
    found = loss([[[0, 0.5, 0.5, 1.5, 1.5]]], [[[40, 1.5, 1.5, 0.5, 0.5, 40]]])
    assert found == pytest.approx(40 * (1 - 1 / 3) + 1 - (1 / 7 - 2 / 9), abs=1e-4)


def test_what_is_right_costs_nothing() -> None:
    right = [[[1, 1, 1, 1, 1], [-1, 0, 0, 0, 0]]]
    assert loss(right, [[[-40, 40, 1, 1, 1, 1, 40], [-40, -40, 3, 3, 3, 3, 0]]]) == pytest.approx(0, abs=1e-6)


# In NumPy


def loss_in_numpy(truth: np.ndarray, predicted: np.ndarray, alpha: float, gamma: float) -> float:
    classes = predicted.shape[-1] - 5
    focal, placed, boxes, found, weights = 0.0, 0.0, 0.0, 0, 0.0
    for (label, *sides), row in zip(truth.reshape(-1, 5), predicted.reshape(-1, classes + 5), strict=True):
        for number in range(classes):
            p = 1 / (1 + np.exp(-row[number]))
            p, weight = (p, alpha) if number == label else (1 - p, 1 - alpha)
            focal -= weight * (1 - p) ** gamma * np.log(p)
        if label < 0:
            continue
        left, top, right, bottom = sides
        centerness = np.sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom))
        quality = 1 / (1 + np.exp(-row[-1]))
        placed -= centerness * np.log(quality) + (1 - centerness) * np.log(1 - quality)
        one, other = [-left, -top, right, bottom], [-row[-5], -row[-4], row[-3], row[-2]]
        shared = (min(one[2], other[2]) - max(one[0], other[0])) * (min(one[3], other[3]) - max(one[1], other[1]))
        around = (max(one[2], other[2]) - min(one[0], other[0])) * (max(one[3], other[3]) - min(one[1], other[1]))
        union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
        boxes += centerness * (1 - (shared / union - (around - union) / around))
        found += 1
        weights += centerness
    return (focal + placed) / max(found, 1) + (boxes / weights if found else 0.0)


@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 3),
    alpha=st.floats(0, 1),
    gamma=st.sampled_from([0.0, 1.0, 2.0, 2.5]),
    background=st.floats(0, 1),
)
@settings(max_examples=25, deadline=None)
def test_computes_what_numpy_computes(seed: int, classes: int, alpha: float, gamma: float, background: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.1, 4, (2, 7, 5))
    truth[..., 0] = np.where(rng.random((2, 7)) < background, -1, rng.integers(0, classes, (2, 7)))
    predicted = rng.normal(0, 2, (2, 7, classes + 5))
    predicted[..., classes:-1] = rng.uniform(0.1, 4, (2, 7, 4))
    expected = loss_in_numpy(truth, predicted, alpha, gamma)
    assert loss(truth, predicted, alpha=alpha, gamma=gamma) == pytest.approx(expected, rel=1e-4)


def test_images_without_objects_are_part_of_their_batch() -> None:
    truth = np.array([[[0, 1, 1, 1, 1]], [[-1, 0, 0, 0, 0]]], "float32")
    predicted = np.array([[[0, 1, 1, 2, 2, 0]], [[0, 1, 1, 2, 2, 0]]], "float32")
    assert loss(truth, predicted) == pytest.approx(1.29202 + 0.129965, abs=1e-5)


# What Keras expects


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_every_gradient_is_a_number(gamma: float) -> None:
    """Also where a distance is 0, nothing is an object's, or a logit is large."""
    x = keras.Input((2, 7))
    model = keras.Model(x, keras.layers.Dense(7, kernel_initializer="identity")(x))
    model.compile(keras.optimizers.SGD(0.1), FCOSLoss(gamma=gamma), run_eagerly=True)
    rows = np.array([[[60, -60, 0, 0, 0, 0, 60], [-60, 60, 0, 0, 0, 0, -60]]], "float32")
    for truth in ([[0, 1, 1, 1, 1], [-1, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0]] * 2):
        model.train_on_batch(rows, np.array([truth], "float32"))
        assert all(np.isfinite(array(weight)).all() for weight in model.weights)


def test_config() -> None:
    config = FCOSLoss(0.5, 1.5, name="mine", reduction="sum").get_config()
    assert set(config) == constructor_arguments(FCOSLoss) | {"reduction"}
    assert FCOSLoss.from_config(config).get_config() == config


def test_saving(tmp_path: Path) -> None:
    x = keras.Input((2, 6))
    model = keras.Model(x, keras.layers.Dense(6)(x))
    model.compile("sgd", FCOSLoss(0.5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    assert isinstance(loaded.loss, FCOSLoss)
    assert loaded.loss.alpha == 0.5


@pytest.mark.parametrize("alpha", [-0.1, 1.1, None, "1", float("nan")])
def test_refuses_alpha(alpha: Any) -> None:
    with pytest.raises(ValueError, match=r"^alpha must be a number from 0 to 1\. Received: alpha="):
        FCOSLoss(alpha=alpha)


@pytest.mark.parametrize("gamma", [-1, None, "1", float("nan")])
def test_refuses_gamma(gamma: Any) -> None:
    with pytest.raises(ValueError, match=r"^gamma must be a number of 0 or more\. Received: gamma="):
        FCOSLoss(gamma=gamma)
