"""The gates of SE blocks in Keras and in TFLite files, against SE in NumPy."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite
from keras_se.export import to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.gates import file_gates, keras_gates
from tests.support.networks import sample
from tests.support.networks.exported import enliven, images
from tests.support.numpy_se import gates_in_numpy, squeeze_in_numpy

STEP = 1 / 256  # of an int8 gate


def expected_gates(maps: np.ndarray, layer: SqueezeExcite) -> np.ndarray:
    weights = {weight.name: np.asarray(weight, "float64") for weight in layer.weights}
    return gates_in_numpy(squeeze_in_numpy(maps.astype("float64"), "avg"), weights, "relu", "sigmoid")


def test_gates_of_blocks_in_models_in_models() -> None:
    network = sample("nested")
    backbone = network.model.get_layer("backbone")
    relu = keras.Model(backbone.inputs, backbone.get_layer("inner_relu").output)
    found = {gates.path: gates for gates in keras_gates(network.model, list(network.feeds.values()))}
    assert list(found) == ["backbone/inner_se", "outer_se"]
    maps = relu.predict(network.data, verbose=0)
    expected = expected_gates(maps, backbone.get_layer("inner_se"))
    np.testing.assert_allclose(found["backbone/inner_se"].values, expected, atol=1e-5)
    assert {gates.kind for gates in found.values()} == {"SqueezeExcite"}


@pytest.mark.parametrize(
    ("name", "mode", "allowed"),
    [("nested", None, 1e-5), ("nested", "int8", 2 * STEP), ("sequence", "int8", 2 * STEP)],
)
def test_gates_of_a_file_are_those_of_keras(exported, name: str, mode: str | None, allowed: float) -> None:
    network = sample(name)
    wanted = keras_gates(network.model, list(network.feeds.values()))
    path = exported(name, "tflite", mode).path
    found = file_gates(path, InferenceModel(network.model), wanted, network.feeds)
    assert list(found) == [gates.path for gates in wanted]
    for gates in wanted:
        assert found[gates.path].shape == gates.values.shape
        assert np.abs(found[gates.path] - gates.values).mean() < allowed
        # What varies is told from what only has the right mean.
        assert np.corrcoef(found[gates.path].ravel(), gates.values.ravel())[0, 1] > 0.99


def test_gates_of_channels_and_of_positions(tmp_path: Path) -> None:
    """Eight channels at eight positions: they are told apart by what computes them."""
    steps = keras.Input((8, 6), name="steps")
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="conv")(steps)
    x = ConcurrentSqueezeExcite(2, gate="hard_sigmoid", name="both")(x)
    model = keras.Model(steps, layers.Conv1D(3, 1, name="labels")(x), name="concurrent")
    feeds = images(model, ("steps",))
    enliven(model, list(feeds.values()))
    wanted = keras_gates(model, list(feeds.values()))
    assert {gates.path: gates.kind for gates in wanted} == {
        "both/channel": "SqueezeExcite",
        "both/spatial": "SpatialSqueezeExcite",
    }
    path = to_tflite(model, tmp_path / "model.tflite").path
    found = file_gates(path, InferenceModel(model), wanted, feeds)
    for gates in wanted:
        np.testing.assert_allclose(found[gates.path], gates.values, atol=1e-5)


def test_constant_gates_are_left_out(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, name="conv")(image)
    block = SqueezeExcite(2, name="dead")
    model = keras.Model(image, layers.Conv2D(2, 1, name="out")(block(x)), name="constant")
    feeds = images(model, ("image",))
    block.reduce_bias.assign(np.full(block.reduce_bias.shape, -100.0))  # no hidden unit is ever on
    artifact = to_tflite(model, tmp_path / "model.tflite", quantize="int8", calibration_data=feeds["image"])
    assert any("dead" in note for note in artifact.notes)
    wanted = keras_gates(model, list(feeds.values()))
    assert wanted[0].values.std(axis=0).max() < 1e-6
    assert file_gates(artifact.path, InferenceModel(model), wanted, feeds) == {}
