"""The sinusoidal embedding of times."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se.layers import SinusoidalEmbedding
from tests.support.arrays import array
from tests.support.layer_contract import constructor_arguments


def test_it_is_sines_and_cosines() -> None:
    time = np.array([[0.0], [0.3], [1.0]])
    frequencies = 0.25 * 16 ** (np.arange(4) / 3)  # from a quarter of a period to four
    expected = [[np.sin(2 * np.pi * f * t) for f in frequencies] for (t,) in time]
    expected = np.hstack([expected, [[np.cos(2 * np.pi * f * t) for f in frequencies] for (t,) in time]])
    np.testing.assert_allclose(array(SinusoidalEmbedding(8)(time)), expected, atol=1e-5)


def test_times_of_an_int8_input_are_told_apart() -> None:
    values = array(SinusoidalEmbedding(32)(np.arange(256)[:, None] / 255))
    distances = np.linalg.norm(np.diff(values, axis=0), axis=1)
    assert 0.05 < distances.min() <= distances.max() < 0.5  # neighbours differ, and are neighbours


def test_config_and_saving(tmp_path: Path) -> None:
    layer = SinusoidalEmbedding(6, name="time")
    config = layer.get_config()
    assert SinusoidalEmbedding.from_config(config).get_config() == config
    assert set(config) == constructor_arguments(SinusoidalEmbedding) | {"name", "trainable", "dtype"}
    assert layer.compute_output_shape((None, 1)) == (None, 6)
    model = keras.Sequential([keras.Input((1,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    np.testing.assert_array_equal(array(loaded(np.ones((1, 1)))), array(model(np.ones((1, 1)))))


@pytest.mark.parametrize("width", [0, -2, 2.0, True, None])
def test_width_must_be_a_positive_integer(width: object) -> None:
    with pytest.raises(ValueError, match=r"width must be a positive integer\. Received: width="):
        SinusoidalEmbedding(width)  # type: ignore[arg-type]


def test_other_errors() -> None:
    with pytest.raises(ValueError, match=r"width must be an even number\. Received: width=5"):
        SinusoidalEmbedding(5)
    with pytest.raises(ValueError, match=r"requires inputs of shape \(batch, 1\)\. Received: input_shape=\(3, 2\)"):
        SinusoidalEmbedding(4)(np.ones((3, 2)))
