"""ResizeLike against interpolation in NumPy, and what Keras expects of a layer."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se.layers import ResizeLike
from tests.support.arrays import array, error, resized_in_numpy
from tests.support.layer_contract import constructor_arguments

FORMATS = ["channels_last", "channels_first"]
# Height and width before and after: doubled, nearly doubled, the same, and anything else.
SIZES = [((3, 4), (6, 8)), ((3, 4), (5, 9)), ((1, 1), (3, 2)), ((4, 5), (4, 5)), ((2, 3), (11, 4))]


def maps(data_format: str, size: tuple[int, int], channels: int = 3) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(2, *size, channels)).astype("float32")
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1)


def expected(x: np.ndarray, size: tuple[int, int], data_format: str) -> np.ndarray:
    if data_format == "channels_last":
        return resized_in_numpy(x, size)
    return np.moveaxis(resized_in_numpy(np.moveaxis(x, 1, -1), size), -1, 1)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_computes_what_numpy_computes(before: tuple[int, int], after: tuple[int, int], data_format: str) -> None:
    x, like = maps(data_format, before), maps(data_format, after, channels=7)
    layer = ResizeLike(data_format=data_format)
    y = layer([x, like])
    assert error(array(y), expected(x, after, data_format)) < 1e-6
    assert layer.compute_output_shape([x.shape, like.shape]) == tuple(y.shape)
    assert layer.weights == []


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_sizes(data_format: str) -> None:
    last = data_format == "channels_last"
    x, like = (keras.Input((None, None, 3) if last else (3, None, None)) for _ in range(2))
    model = keras.Model([x, like], ResizeLike(data_format=data_format)([x, like]))
    assert model.output_shape == x.shape
    for before, after in SIZES:
        arrays = [maps(data_format, before), maps(data_format, after)]
        wanted = expected(arrays[0], after, data_format)
        assert error(array(model(arrays)), wanted) < 1e-6
        assert error(model.predict(arrays, verbose=0), wanted) < 1e-6


def test_the_data_format_of_keras_is_the_default() -> None:
    keras.config.set_image_data_format("channels_first")
    layer = ResizeLike()
    keras.config.set_image_data_format("channels_last")
    assert layer.data_format == "channels_first"


def test_config() -> None:
    layer = ResizeLike(data_format="channels_first", name="mine", dtype="mixed_bfloat16")
    config = layer.get_config()
    assert set(config) == constructor_arguments(ResizeLike) | {"name", "trainable", "dtype"}
    assert ResizeLike.from_config(config).get_config() == config


def test_saving(tmp_path: Path) -> None:
    x, like = keras.Input((3, 4, 3)), keras.Input((5, 9, 1))
    model = keras.Model([x, like], ResizeLike()([x, like]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    arrays = [maps("channels_last", (3, 4)), np.zeros((2, 5, 9, 1), "float32")]
    np.testing.assert_array_equal(array(loaded(arrays)), array(model(arrays)))


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_dtypes(policy: str) -> None:
    layer = ResizeLike(dtype=policy)
    x = np.array([0.0, 4.0], "float32").reshape(1, 1, 2, 1)
    y = layer([x, np.zeros((1, 1, 4, 2), "float32")])
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    assert array(y).ravel().tolist() == [0, 1, 3, 4]


def test_refuses_a_data_format() -> None:
    with pytest.raises(ValueError, match=r"^data_format must be .* Received: data_format='last'$"):
        ResizeLike(data_format="last")


@pytest.mark.parametrize("shapes", [[(2, 3, 4, 5)], [(2, 3, 4, 5), (2, 5)], [(2, 3, 4, 5)] * 3, (2, 3, 4, 5)])
def test_refuses_inputs(shapes: object) -> None:
    with pytest.raises(ValueError, match=r"^ResizeLike requires two inputs of rank 4, .* Received: input_shape="):
        ResizeLike().build(shapes)
