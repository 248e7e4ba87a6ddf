"""ChannelShuffle against a permutation in NumPy, and what Keras expects of a layer."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se.layers import ChannelShuffle
from tests.support.arrays import array
from tests.support.layer_contract import constructor_arguments

FORMATS = ["channels_last", "channels_first"]


def images(data_format: str, channels: int = 24, height: int = 3, width: int = 5) -> np.ndarray:
    """Every value another one, so that one in a wrong place is seen."""
    shape = (2, height, width, channels) if data_format == "channels_last" else (2, channels, height, width)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def shuffled(x: np.ndarray, groups: int, axis: int) -> np.ndarray:
    """The first channel of each group, then the second of each, …"""
    n = x.shape[axis] // groups
    return np.take(x, [group * n + i for i in range(n) for group in range(groups)], axis)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8, 24])
def test_computes_what_numpy_computes(groups: int, data_format: str) -> None:
    x = images(data_format)
    layer = ChannelShuffle(groups, data_format=data_format)
    expected = shuffled(x, groups, 3 if data_format == "channels_last" else 1)
    np.testing.assert_array_equal(array(layer(x)), expected)
    assert layer.compute_output_shape(x.shape) == x.shape
    assert layer.weights == []


def test_the_papers_figure() -> None:
    # Figure 1 of the paper: nine channels of three groups.
    x = np.arange(9, dtype="float32").reshape(1, 1, 1, 9)
    assert array(ChannelShuffle(3)(x)).ravel().tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 8]


def test_the_other_number_of_groups_undoes_it() -> None:
    x = images("channels_last")
    np.testing.assert_array_equal(array(ChannelShuffle(4)(ChannelShuffle(6)(x))), x)


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_sizes(data_format: str) -> None:
    last = data_format == "channels_last"
    inputs = keras.Input((None, None, 6) if last else (6, None, None))
    model = keras.Model(inputs, ChannelShuffle(2, data_format=data_format)(inputs))
    assert model.output_shape == inputs.shape
    for height, width in [(3, 5), (1, 4), (2, 2)]:
        x = images(data_format, 6, height, width)
        np.testing.assert_array_equal(array(model(x)), shuffled(x, 2, 3 if last else 1))
        np.testing.assert_array_equal(model.predict(x, verbose=0), shuffled(x, 2, 3 if last else 1))


@pytest.mark.parametrize("data_format", FORMATS)
def test_the_data_format_of_keras_is_the_default(data_format: str) -> None:
    keras.config.set_image_data_format(data_format)
    layer = ChannelShuffle(2)
    keras.config.set_image_data_format("channels_last")
    assert layer.data_format == data_format
    x = images(data_format, 4)
    np.testing.assert_array_equal(array(layer(x)), shuffled(x, 2, 3 if data_format == "channels_last" else 1))


def test_config() -> None:
    layer = ChannelShuffle(4, data_format="channels_first", name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    assert set(config) == constructor_arguments(ChannelShuffle) | {"name", "trainable", "dtype"}
    again = ChannelShuffle.from_config(config)
    assert again.get_config() == config
    assert (again.groups, again.data_format, again.name) == (4, "channels_first", "mine")


def test_saving(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3, 5, 24)), ChannelShuffle(3)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    assert type(loaded.layers[0]) is ChannelShuffle
    x = images("channels_last")
    np.testing.assert_array_equal(array(loaded(x)), shuffled(x, 3, 3))


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_dtypes(policy: str) -> None:
    layer = ChannelShuffle(2, dtype=policy)
    y = layer(images("channels_last", 4, 1, 2))  # integers up to 15, which half precision has
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(array(y), shuffled(images("channels_last", 4, 1, 2), 2, 3))


@pytest.mark.parametrize("groups", [0, -1, 2.0, "2", True, None])
def test_refuses_groups(groups: object) -> None:
    with pytest.raises(ValueError, match=rf"^groups must be a positive integer\. Received: groups={groups!r}$"):
        ChannelShuffle(groups)


def test_refuses_a_data_format() -> None:
    with pytest.raises(ValueError, match=r"^data_format must be .* Received: data_format='last'$"):
        ChannelShuffle(2, data_format="last")


@pytest.mark.parametrize("shape", [(2, 5, 5, 5), (2, 5, 6), (2, 6), (2, 3, 3, 3, 6), (2, 5, 5, None)])
def test_refuses_inputs(shape: tuple) -> None:
    with pytest.raises(ValueError, match=r"^ChannelShuffle requires inputs of rank 4 .* Received: input_shape=\(2, "):
        ChannelShuffle(2).build(shape)
