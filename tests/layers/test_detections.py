"""Detections against numbers by hand and a loop in NumPy, and what Keras expects of a layer."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_se.layers import Detections
from tests.support.arrays import array
from tests.support.layer_contract import constructor_arguments

SURE = 30.0  # a logit whose sigmoid is 1
NEVER = -30.0
SIZE = (10, 20)  # height and width


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def inputs(rows: list[tuple[tuple[float, ...], float, int]], classes: int = 2) -> list[np.ndarray]:
    """One image's boxes, in shares of it, with a score and a class each."""
    boxes = np.array([[box for box, *_ in rows]], "float32")
    logits = np.full((1, len(rows), classes), NEVER, "float32")
    for index, (_, score, label) in enumerate(rows):
        logits[0, index, label] = logit(score)
    return [boxes, logits, np.full((1, len(rows), 1), SURE, "float32")]


def found(count: int, given_: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array(x) for name, x in Detections(count, SIZE)(given_).items()}


# By hand


def test_the_best_come_first_in_pixels() -> None:
    rows = [((0.0, 0.0, 0.25, 0.5), 0.3, 0), ((0.5, 0.5, 1.0, 1.0), 0.8, 1), ((0.25, 0.0, 0.5, 0.5), 0.6, 0)]
    result = found(2, inputs(rows))
    assert result["boxes"][0].tolist() == [[10, 5, 20, 10], [5, 0, 10, 5]]
    np.testing.assert_allclose(result["scores"], [[0.8, 0.6]], atol=1e-6)
    assert result["classes"].tolist() == [[1, 0]]


def test_a_duplicate_loses_by_its_overlap() -> None:
    whole, half = (0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.5, 0.5)  # IoU 1/2: exp(-2 / 4) = 0.606531
    np.testing.assert_allclose(
        found(2, inputs([(half, 0.8, 1), (whole, 0.9, 1)]))["scores"], [[0.9, 0.4852245]], atol=1e-6
    )
    # Of another class it is no duplicate.
    np.testing.assert_allclose(found(2, inputs([(half, 0.8, 0), (whole, 0.9, 1)]))["scores"], [[0.9, 0.8]], atol=1e-6)


def test_a_duplicate_does_not_take_from_others_what_it_lost_itself() -> None:
    """IoU of neighbours is 1/3, of the outer two 0: the last one is covered only by what is covered as much."""
    rows = [((0.0, 0.0, 0.4, 1.0), 0.9, 0), ((0.2, 0.0, 0.6, 1.0), 0.8, 0), ((0.4, 0.0, 0.8, 1.0), 0.7, 0)]
    result = found(3, inputs(rows))
    np.testing.assert_allclose(result["scores"], [[0.9, 0.7, 0.8 * np.exp(-2 / 9)]], atol=1e-6)
    np.testing.assert_allclose(result["boxes"][0, :, 0], [0, 8, 4], atol=1e-5)


def test_the_quality_is_a_factor() -> None:
    boxes, logits, quality = inputs([((0.0, 0.0, 0.5, 0.5), 0.9, 0), ((0.5, 0.5, 1.0, 1.0), 0.8, 0)])
    quality[0, 0] = logit(0.25)
    np.testing.assert_allclose(found(2, [boxes, logits, quality])["scores"], [[0.8, 0.225]], atol=1e-6)


def test_boxes_without_area() -> None:
    point = (0.5, 0.5, 0.5, 0.5)
    np.testing.assert_allclose(found(2, inputs([(point, 0.9, 0), (point, 0.8, 0)]))["scores"], [[0.9, 0.8]], atol=1e-6)


# In NumPy


def iou(one: np.ndarray, other: np.ndarray) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-np.float64(x)))


def detections_in_numpy(boxes: np.ndarray, logits: np.ndarray, quality: np.ndarray, count: int) -> list[tuple]:
    """Of one image: (score, class, box), the best first."""
    rows = [
        (sigmoid(values.max()) * sigmoid(one[0]), int(values.argmax()), box.astype("float64"))
        for values, one, box in zip(logits, quality, boxes, strict=True)
    ]
    rows = sorted(rows, key=lambda row: -row[0])[: 4 * count]
    most, result = [], []
    for j, (score, label, box) in enumerate(rows):
        covers = [iou(box, rows[i][2]) if rows[i][1] == label else 0.0 for i in range(j)]
        shares = [np.exp(-2 * covers[i] ** 2) / np.exp(-2 * most[i] ** 2) for i in range(j)]
        most.append(max(covers, default=0.0))
        result.append((score * min(shares, default=1.0), label, box))
    return sorted(result, key=lambda row: -row[0])[:count]


@given(locations=st.integers(3, 12), seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_computes_what_numpy_computes(locations: int, seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((2, locations, 2, 2)), axis=2) + np.array([[0.0], [0.1]])
    boxes = (corners / 1.1).reshape(2, locations, 4).astype("float32")
    logits = rng.normal(0, 2, (2, locations, classes)).astype("float32")
    quality = rng.normal(0, 1, (2, locations, 1)).astype("float32")
    count = 2
    result = found(count, [boxes, logits, quality])
    for image in range(2):
        expected = detections_in_numpy(boxes[image], logits[image], quality[image], count)
        np.testing.assert_allclose(result["scores"][image], [score for score, *_ in expected], rtol=1e-4)
        assert result["classes"][image].tolist() == [label for _, label, _ in expected]
        pixels = np.array([box for *_, box in expected]) * [20, 10, 20, 10]
        np.testing.assert_allclose(result["boxes"][image], pixels, atol=1e-4)


# What Keras expects


def model() -> keras.Model:
    given_ = [keras.Input((6, 4)), keras.Input((6, 3)), keras.Input((6, 1))]
    return keras.Model(given_, Detections(2, SIZE, name="detections")(given_))


def test_shapes_and_types() -> None:
    outputs = model().output
    assert {name: (x.shape, x.dtype) for name, x in outputs.items()} == {
        "boxes": ((None, 2, 4), "float32"),
        "scores": ((None, 2), "float32"),
        "classes": ((None, 2), "int32"),
    }
    result = Detections(1, SIZE)(inputs([((0.0, 0.0, 1.0, 1.0), 0.5, 0)]))
    assert {name: keras.backend.standardize_dtype(x.dtype) for name, x in result.items()} == {
        "boxes": "float32",
        "scores": "float32",
        "classes": "int32",
    }


def test_config() -> None:
    layer = Detections(3, SIZE, name="mine", dtype="float64")
    config = layer.get_config()
    assert set(config) == constructor_arguments(Detections) | {"name", "trainable", "dtype"}
    assert Detections.from_config(config).get_config() == config


def test_saving(tmp_path: Path) -> None:
    before = model()
    before.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    rng = np.random.default_rng(0)
    x = [rng.random((3, 6, width)).astype("float32") for width in (4, 3, 1)]
    expected, result = before.predict(x, verbose=0), loaded.predict(x, verbose=0)
    for name in expected:
        np.testing.assert_array_equal(result[name], expected[name])


@pytest.mark.parametrize("detections", [0, -1, 1.5, None, True])
def test_refuses_detections(detections: Any) -> None:
    with pytest.raises(ValueError, match=r"^detections must be a positive integer\. Received: detections="):
        Detections(detections, SIZE)


@pytest.mark.parametrize("size", [None, 4, (4,), (4, 4, 4), "44"])
def test_refuses_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match=r"^size must be a height and a width\. Received: size="):
        Detections(2, size)


SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "one tensor": ((1, 6, 4),),
    "two tensors": ((1, 6, 4), (1, 6, 3)),
    "no batch": ((6, 4), (6, 3), (6, 1)),
    "logits first": ((1, 6, 3), (1, 6, 4), (1, 6, 1)),
    "no quality": ((1, 6, 4), (1, 6, 3), (1, 6, 3)),
    "other locations": ((1, 6, 4), (1, 5, 3), (1, 6, 1)),
}


@pytest.mark.parametrize("what", SHAPES)
def test_refuses_other_shapes(what: str) -> None:
    tensors = [np.zeros(shape, "float32") for shape in SHAPES[what]]
    with pytest.raises(ValueError, match=r"^Detections requires .*, logits .* and quality .*\. Received: ") as caught:
        Detections(2, SIZE)(tensors if len(tensors) > 1 else tensors[0])
    assert str(SHAPES[what][0]) in str(caught.value)


def test_refuses_fewer_locations_than_detections() -> None:
    with pytest.raises(ValueError, match=r"^detections must be at most the number of locations\. Received: "):
        Detections(3, SIZE)(inputs([((0.0, 0.0, 1.0, 1.0), 0.5, 0)]))
