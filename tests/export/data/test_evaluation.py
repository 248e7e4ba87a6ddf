"""Labelled data: what is taken, and what is refused in a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_se.export.data.evaluation import evaluation_of
from keras_se.export.frontend.inference_model import InferenceModel
from tests.support.networks import sample

X = np.zeros((4, 8, 8, 8), "float32")
Y = np.array([0, 4, 1, 2])


def model() -> InferenceModel:
    return InferenceModel(sample("grouped").model)  # (8, 8, 8) → 5 classes


def test_accuracy() -> None:
    evaluation = evaluation_of(model(), (X, Y[:, None]))
    assert evaluation.accuracy(np.eye(5)[[0, 4, 1, 3]]) == 0.75
    predictions = sample("grouped").model.predict(X, verbose=0).argmax(-1)
    assert evaluation_of(model(), (X, predictions)).accuracy_of(model()) == 1.0


@pytest.mark.parametrize("x", [[X], {"image": X}, lambda: iter([X]), (X[i : i + 1] for i in range(4))])
def test_inputs_of_every_kind_with_labels(x: Any) -> None:
    assert evaluation_of(model(), (x, Y)).classes.tolist() == Y.tolist()


def test_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "labelled.npz", x=X, y=Y)
    evaluation = evaluation_of(model(), tmp_path / "labelled.npz")
    assert (list(evaluation.data), evaluation.classes.tolist()) == (["image"], Y.tolist())
    np.savez(tmp_path / "other.npz", x=X, labels=Y)
    with pytest.raises(ValueError, match=r"evaluation_data must "):
        evaluation_of(model(), tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, r"evaluation_data must be labelled: \(x, y\)"),
        ((X, Y[:3]), r"each of the 4 samples. Received: shape \(3,\)"),
        ((X, Y.astype("float32")), r"must be the class number .* dtype float32"),
        ((X, np.array([0, 1, 2, 5])), r"must be from 0 to 4. Received: 0 to 5"),
        ((X, np.array([0, 1, 2, -1])), r"must be from 0 to 4. Received: -1 to 2"),
        ((X[:, :4], Y), r"evaluation_data must have the shape \(samples, 8, 8, 8\)"),
    ],
)
def test_what_cannot_be_right(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluation_of(model(), data)


def test_only_classifiers_have_an_accuracy() -> None:
    segmentation = InferenceModel(sample("segmentation").model)
    with pytest.raises(ValueError, match="requires a classifier"):
        evaluation_of(segmentation, (np.zeros((2, 16, 16, 3)), np.zeros(2, int)))
