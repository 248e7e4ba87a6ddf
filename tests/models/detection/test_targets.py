"""What each location should say, against numbers by hand and a loop over pixels in NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_se.models import SEFCOS, detection_targets
from tests.support.networks.detectors import CLASSES, backbone, detector

FINE = 64  # locations of the map of 8x8; those of 4x4 follow


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return detector()


def test_by_hand(model: keras.Model) -> None:
    """A box of 16 pixels around the corner of four locations, whose sides are 1.5 of 8 pixels away at the most."""
    y = detection_targets([[(8, 8, 24, 24)]], [[2]], model, reach=2)
    assert y.shape == (1, 80, 5)
    assert y.dtype == np.float32
    objects = {index: row.tolist() for index, row in enumerate(y[0]) if row[0] >= 0}
    assert objects == {
        9: [2, 0.5, 0.5, 1.5, 1.5],
        10: [2, 1.5, 0.5, 0.5, 1.5],
        17: [2, 0.5, 1.5, 1.5, 0.5],
        18: [2, 1.5, 1.5, 0.5, 0.5],
    }
    assert np.all(np.delete(y[0], list(objects), axis=0) == [-1, 0, 0, 0, 0])


def test_large_objects_are_the_coarse_maps(model: keras.Model) -> None:
    """Of the whole image: 2 of 16 pixels from the middle; the finer map would need 4 of 8."""
    y = detection_targets([[(0, 0, 64, 64)]], [[0]], model, reach=2)[0]
    assert (y[:FINE, 0] == -1).all()
    assert (y[FINE:, 0] == 0).all()
    assert y[FINE].tolist() == [0, 0.5, 0.5, 3.5, 3.5]
    assert y[FINE + 4 * 2 + 1].tolist() == [0, 1.5, 2.5, 2.5, 1.5]


def test_the_smallest_of_several(model: keras.Model) -> None:
    boxes = np.array([(8, 8, 24, 24), (8, 8, 16, 16), (0, 0, 26, 26)])
    y = detection_targets([boxes], [[0, 1, 2]], model, reach=2)[0]
    assert y[9].tolist() == [1, 0.5, 0.5, 0.5, 0.5]
    assert y[18].tolist() == [0, 1.5, 1.5, 0.5, 0.5]


def test_only_near_the_middle(model: keras.Model) -> None:
    y = detection_targets([[(0, 0, 32, 32)]], [[0]], model, reach=4, radius=0.5)[0]
    assert np.flatnonzero(y[:, 0] == 0).tolist() == [9, 10, 17, 18]


def test_no_objects(model: keras.Model) -> None:
    y = detection_targets([[], [(8, 8, 24, 24)]], [[], [1]], model, reach=2)
    assert (y[0, :, 0] == -1).all()
    assert (y[1, :, 0] == 1).sum() == 4


def targets_in_numpy(boxes: Any, labels: Any, maps: Any, image: tuple[int, int], reach: float, radius: float) -> Any:
    """One location at a time, in pixels."""
    rows = []
    for level, (height, width) in enumerate(maps):
        down, across = image[0] / height, image[1] / width  # pixels of a location
        for row in range(height):
            for column in range(width):
                x, y = (column + 0.5) * across, (row + 0.5) * down
                best, target = np.inf, [-1.0, 0, 0, 0, 0]
                for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
                    sides = [(x - left) / across, (y - top) / down, (right - x) / across, (bottom - y) / down]
                    middle = abs(x - (left + right) / 2) / across, abs(y - (top + bottom) / 2) / down
                    reached = level == len(maps) - 1 or max(sides) <= reach
                    left_over = level == 0 or max(sides) > reach * height / maps[level - 1][0]
                    area = (right - left) * (bottom - top)
                    if min(sides) > 0 and max(middle) <= radius and reached and left_over and area < best:
                        best, target = area, [label, *sides]
                rows.append(target)
    return np.array(rows)


@given(seed=st.integers(0, 2**32 - 1), reach=st.floats(0.5, 8), radius=st.floats(0.3, 4))
@settings(max_examples=25, deadline=None)
def test_computes_what_numpy_computes(model: keras.Model, seed: int, reach: float, radius: float) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 48, (2, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 40, (2, 3, 2))], axis=-1)
    labels = rng.integers(0, CLASSES, (2, 3))
    found = detection_targets(boxes, labels, model, reach=reach, radius=radius)
    for image in range(2):
        expected = targets_in_numpy(boxes[image], labels[image], [(8, 8), (4, 4)], (64, 64), reach, radius)
        np.testing.assert_allclose(found[image], expected, atol=1e-5)


def test_maps_that_do_not_halve() -> None:
    """Of 75 pixels: maps of 10x10, 5x5."""
    model = detector(75)
    found = detection_targets([[(10, 20, 50, 70), (3, 3, 20, 20)]], [[0, 1]], model, reach=3)[0]
    expected = targets_in_numpy([(10, 20, 50, 70), (3, 3, 20, 20)], [0, 1], [(10, 10), (5, 5)], (75, 75), 3, 1.5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[:, 0] >= 0).any()


def test_images_that_are_not_square() -> None:
    size, maps = (40, 72), [(5, 9), (3, 5)]
    model = SEFCOS(backbone((*size, 3)), CLASSES, 8, strides=(8, 16), depth=1)
    boxes, labels = [(8, 3, 30, 20), (2, 10, 66, 38), (60, 4, 70, 36)], [0, 1, 2]
    found = detection_targets([boxes], [labels], model, reach=2)[0]
    np.testing.assert_allclose(found, targets_in_numpy(boxes, labels, maps, size, 2, 1.5), atol=1e-5)
    assert {0, 2} <= set(found[:45, 0])
    assert 1 in set(found[45:, 0])


@pytest.mark.parametrize(("size", "expected"), [(64, 2.0), (96, 3.0), (512, 8.0)])
def test_each_map_has_objects_by_default(size: int, expected: float) -> None:
    """The coarsest has what is larger than half of the image, also where 8 locations are more than the image."""
    model = detector(size)
    boxes = [[(0, 0, size, size)], [(0, 0, size / 8, size / 8)]]
    found = detection_targets(boxes, [[0], [1]], model)
    np.testing.assert_array_equal(found, detection_targets(boxes, [[0], [1]], model, reach=expected))
    finest = (size // 8) ** 2
    assert not (found[0, :finest, 0] >= 0).any()
    assert (found[0, finest:, 0] >= 0).any()
    assert (found[1, :finest, 0] >= 0).any()


NO_BOXES = [
    *([[8, 8, 8, 24]], [[24, 8, 8, 24]], [[0, 0, np.nan, 4]], [[0, 0, np.inf, 4]]),  # of no area, or none that is known
    *([[0, 0, 8]], [0, 0, 8, 8], [[[0, 0, 8, 8]]], [[0, 0, 8, 8], [0, 0, 8]], [["left", 0, 8, 8]]),
]


@pytest.mark.parametrize("boxes", [*NO_BOXES, np.zeros((1, 4))], ids=str)
def test_refuses_boxes(model: keras.Model, boxes: Any) -> None:
    with pytest.raises(ValueError, match=r"^boxes must be \(left, top, right, bottom\), .*\.") as caught:
        detection_targets([boxes], [[0]], model)
    assert str(caught.value).endswith(f" Received: {[[0.0] * 4] if isinstance(boxes, np.ndarray) else boxes}")


def test_images_without_objects(model: keras.Model) -> None:
    for nothing in ([], np.zeros((0, 4)), np.zeros(0)):
        found = detection_targets([nothing], [[]], model)
        assert (found[..., 0] == -1).all()
        assert not found[..., 1:].any()


@pytest.mark.parametrize("label", [[3], [-1], [0.5], [0, 1], []])
def test_refuses_labels(model: keras.Model, label: Any) -> None:
    with pytest.raises(ValueError, match=r"^Each box must have a class from 0 to 2\. Received: .* for 1 boxes$"):
        detection_targets([[(0, 0, 8, 8)]], [label], model)


def test_refuses_other_numbers_of_images(model: keras.Model) -> None:
    with pytest.raises(ValueError, match=r"^boxes and labels must have an entry .* boxes for 1 images, labels for 2$"):
        detection_targets([[]], [[], []], model)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("reach", "radius") for value in (0, -1.0, float("nan"), float("inf"), "2")]
    + [("radius", None)],
)
def test_refuses_numbers(model: keras.Model, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a finite number greater than 0\. Received: {name}="):
        detection_targets([[]], [[]], model, **{name: value})


def test_refuses_other_models() -> None:
    with pytest.raises(ValueError, match=r"^model must be made by SEFCOS\. Received: "):
        detection_targets([[]], [[]], backbone())
    with pytest.raises(ValueError, match=r"^model requires images of a known size\. .* of shape \(None, "):
        detection_targets([[]], [[]], detector(None))
