"""LocationBoxes against numbers by hand and a loop in NumPy, and what Keras expects of a layer."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_se.layers import LocationBoxes
from tests.support.arrays import array, error
from tests.support.layer_contract import constructor_arguments

MAPS = [(4, 3), (2, 2)]


def boxes_in_numpy(distances: np.ndarray, maps: list[tuple[int, int]]) -> np.ndarray:
    result, index = np.zeros(distances.shape), 0
    for height, width in maps:
        for row in range(height):
            for column in range(width):
                for image, one in enumerate(distances[:, index].astype("float64")):
                    left, top = (column + 0.5 - one[0]) / width, (row + 0.5 - one[1]) / height
                    right, bottom = (column + 0.5 + one[2]) / width, (row + 0.5 + one[3]) / height
                    result[image, index] = [min(max(edge, 0), 1) for edge in (left, top, right, bottom)]
                index += 1
    return result


def test_by_hand() -> None:
    distances = np.zeros((1, 4, 4), "float32")
    distances[0, 1] = (0.5, 0.25, 0.25, 1.0)  # from (1.5, 0.5) of 2x2
    distances[0, 2] = (3.0, 0.5, 1.0, 9.0)  # from (0.5, 1.5), out of the image on two sides
    found = array(LocationBoxes([(2, 2)])(distances))[0]
    assert found[1].tolist() == [0.5, 0.125, 0.875, 0.75]
    assert found[2].tolist() == [0.0, 0.5, 0.75, 1.0]
    assert found[3].tolist() == [0.75, 0.75, 0.75, 0.75]


@given(
    maps=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_computes_what_numpy_computes(maps: list[tuple[int, int]], seed: int) -> None:
    locations = sum(height * width for height, width in maps)
    distances = np.random.default_rng(seed).exponential(1.0, (2, locations, 4)).astype("float32")
    layer = LocationBoxes(maps)
    found = layer(distances)
    assert error(array(found), boxes_in_numpy(distances, maps)) < 1e-6
    assert layer.compute_output_shape(distances.shape) == tuple(found.shape)
    assert layer.weights == []


def test_config() -> None:
    layer = LocationBoxes(MAPS, name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    assert set(config) == constructor_arguments(LocationBoxes) | {"name", "trainable", "dtype"}
    assert LocationBoxes.from_config(config).get_config() == config


def test_saving(tmp_path: Path) -> None:
    distances = keras.Input((16, 4))
    model = keras.Model(distances, LocationBoxes(MAPS)(distances))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    x = np.random.default_rng(0).random((2, 16, 4))
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


@pytest.mark.parametrize("maps", [[], None, 4, [4, 4], [(4,)], [(4, 4, 4)], "44"])
def test_refuses_maps(maps: Any) -> None:
    with pytest.raises(ValueError, match=r"^maps must be a list of \(height, width\) pairs\. Received: maps="):
        LocationBoxes(maps)


def test_refuses_sizes() -> None:
    with pytest.raises(ValueError, match=r"^a map's width must be a positive integer\. Received: a map's width=0$"):
        LocationBoxes([(4, 0)])


@pytest.mark.parametrize("shape", [(2, 15, 4), (2, 16, 3), (2, 4, 4, 4)])
def test_refuses_inputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^LocationBoxes requires inputs of shape \(batch, 16, 4\), .* Received: "):
        LocationBoxes(MAPS).build(shape)
