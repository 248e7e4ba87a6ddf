"""Gates as they are recorded, against SE in NumPy, and their summaries, against numbers by hand."""

import json
import subprocess
import sys
import warnings
from io import StringIO
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite, excitation
from keras_se.excitation import Gates, Recording
from keras_se.layers import twice_sigmoid
from keras_se.models import SEResNet
from tests.support.arrays import array, randomise
from tests.support.numpy_se import NONLINEARITIES, gates_in_numpy, squeeze_in_numpy

SAMPLES = 11  # more than one batch, the last of which is not full


def expected(layer: Any, maps: np.ndarray, mask: np.ndarray | None = None, gate: str = "sigmoid") -> np.ndarray:
    """The channel gates of a layer with such an input, channels last, in NumPy."""
    weights = {weight.name: array(weight) for weight in layer.weights}
    return gates_in_numpy(squeeze_in_numpy(maps.astype("float64"), "avg", mask), weights, "relu", gate)


def expected_spatial(layer: Any, maps: np.ndarray) -> np.ndarray:
    weights = {weight.name: array(weight) for weight in layer.weights}
    return NONLINEARITIES["sigmoid"](maps @ weights["squeeze_kernel"] + weights["squeeze_bias"])[..., 0]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_every_gate_of_a_network() -> None:
    model = SEResNet((1, 1), block="basic", filters=(8, 16), r=4, stem="small", input_shape=(8, 8, 3), classes=5)
    randomise(model)
    x = noise(SAMPLES, 8, 8, 3)
    recorded = excitation.record(model, x, maps=True)
    assert [gates.path for gates in recorded.blocks] == ["stage1_block1_se", "stage2_block1_se"]
    assert (recorded.model, recorded.samples, recorded.left_out) == (model.name, SAMPLES, ())
    for gates in recorded.blocks:
        layer = model.get_layer(gates.path)
        maps = keras.Model(model.inputs, [layer.input]).predict([x], verbose=0)
        np.testing.assert_allclose(gates.maps, np.asarray(maps).reshape(gates.maps.shape), atol=1e-5)
        np.testing.assert_allclose(gates.values, expected(layer, gates.maps), atol=1e-5)
        assert (gates.kind, gates.bounds, gates.call, gates.masked) == ("SqueezeExcite", (0.0, 1.0), 1, False)
    assert excitation.record(model, [x]).blocks[0].maps is None


def test_sequential_channels_first_and_spatial_parts() -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 4, 3)),
            ConcurrentSqueezeExcite(2, data_format="channels_first", name="both"),
            SpatialSqueezeExcite(name="map"),
        ],
        name="parts",
    )
    model(noise(1, 6, 4, 3))
    randomise(model)
    x = noise(SAMPLES, 6, 4, 3)
    recorded = excitation.record(model, x, maps=True)
    last = np.moveaxis(x, 1, -1)
    both = model.get_layer("both")
    assert [(gates.path, gates.of_channels) for gates in recorded.blocks] == [
        ("both/channel", True),
        ("both/spatial", False),
        ("map", False),
    ]
    np.testing.assert_array_equal(recorded["both/spatial"].maps, last)
    np.testing.assert_allclose(recorded["both/channel"].values, expected(both.channel, last), atol=1e-6)
    np.testing.assert_allclose(recorded["both/spatial"].values, expected_spatial(both.spatial, last), atol=1e-6)
    after = recorded["map"]
    assert after.values.shape == (SAMPLES, 6, 4)
    np.testing.assert_allclose(after.values, expected_spatial(model.get_layer("map"), after.maps), atol=1e-6)


def test_models_in_models_and_blocks_that_are_called_again() -> None:
    inner_image = keras.Input((5, 4))
    inner = keras.Model(inner_image, SqueezeExcite(2, name="se")(inner_image), name="inner")
    block = SqueezeExcite(2, gate=twice_sigmoid, name="twice")
    image = keras.Input((5, 4), name="image")
    model = keras.Model(image, inner(block(block(inner(image)))), name="outer")
    randomise(model)
    x = noise(SAMPLES, 5, 4)
    recorded = excitation.record(model, {"image": x}, maps=True)
    labels = ["inner/se", "inner/se (call 2)", "twice", "twice (call 2)"]
    assert sorted(gates.label for gates in recorded.blocks) == labels
    assert sorted(gates.call for gates in recorded.blocks) == [1, 1, 2, 2]
    se = inner.get_layer("se")
    first = expected(se, x)
    y = x * first[:, None]
    np.testing.assert_allclose(recorded["inner/se"].values, first, atol=1e-5)
    for label in ("twice", "twice (call 2)"):
        gates = 2 * expected(block, y)
        assert recorded[label].bounds == (0.0, 2.0)
        np.testing.assert_allclose(recorded[label].maps, y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(recorded[label].values, gates, atol=1e-5)
        y = y * gates[:, None]
    np.testing.assert_allclose(recorded["inner/se (call 2)"].values, expected(se, y), atol=1e-5)
    with pytest.raises(KeyError, match=r"one of \['inner/se'.*Received: 'se'"):
        recorded["se"]


def test_masks_are_looked_at() -> None:
    steps = keras.Input((6, 4))
    model = keras.Model(steps, ConcurrentSqueezeExcite(2, name="both")(layers.Masking()(steps)))
    randomise(model)
    x = noise(SAMPLES, 6, 4)
    lengths = np.arange(SAMPLES) % 5 + 1
    mask = np.arange(6) < lengths[:, None]
    x[~mask] = 0
    recorded = excitation.record(model, x)
    channel, spatial = recorded.blocks
    both = model.get_layer("both")
    assert (channel.masked, spatial.masked) == (True, False)
    np.testing.assert_allclose(channel.values, expected(both.channel, x, mask), atol=1e-6)
    assert np.abs(channel.values - expected(both.channel, x)).max() > 1e-2
    np.testing.assert_allclose(spatial.values, expected_spatial(both.spatial, x), atol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
class Wrapped(layers.Layer):
    """A layer of somebody's own, with SE inside."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inner = ConcurrentSqueezeExcite(2, name="hidden")

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


def test_what_is_left_out_is_told() -> None:
    image = keras.Input((5, 4))
    model = keras.Model(image, SqueezeExcite(2, name="se")(Wrapped(name="wrapped")(image)), name="partly")
    with pytest.warns(UserWarning, match="graph of 'partly' were left out: wrapped/hidden$"):
        recorded = excitation.record(model, noise(3, 5, 4))
    assert [gates.path for gates in recorded.blocks] == ["se"]
    assert recorded.left_out == ("wrapped/hidden",)
    assert excitation.summarize(recorded).table().caption == "Not recorded: wrapped/hidden"


def test_masks_that_the_graph_does_not_have_leave_blocks_out() -> None:
    inner_steps = keras.Input((6, 4))
    inner = keras.Model(inner_steps, ConcurrentSqueezeExcite(2, name="both")(inner_steps), name="inner")
    steps = keras.Input((6, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras: the mask ends at the inner model
        x = inner(layers.Masking()(SqueezeExcite(2, name="seen")(steps)))
    model = keras.Model(steps, SqueezeExcite(2, name="fixed")(x, mask=np.ones((3, 6), bool)))
    with pytest.warns(UserWarning, match="left out: inner/both, fixed$"):
        recorded = excitation.record(model, noise(3, 6, 4))
    assert [gates.path for gates in recorded.blocks] == ["seen"]


def test_half_precision_and_several_inputs() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    one, other = keras.Input((5, 4), name="one"), keras.Input((3,), name="other")
    se = SqueezeExcite(2, name="se")(one)
    model = keras.Model([one, other], layers.Concatenate()([layers.GlobalAveragePooling1D()(se), other]))
    randomise(model)
    x = noise(SAMPLES, 5, 4)
    recorded = excitation.record(model, [x, noise(SAMPLES, 3)])
    assert recorded["se"].values.dtype == np.float32
    np.testing.assert_allclose(recorded["se"].values, expected(model.get_layer("se"), x), atol=2e-2)
    with pytest.raises(ValueError, match=r"one array for each of the inputs \['one', 'other'\]. Received: ndarray"):
        excitation.record(model, x)
    with pytest.raises(
        ValueError, match=r"the same number of samples, at least one, for every input. Received: \[3, 11\]"
    ):
        excitation.record(model, [x, noise(3, 3)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((2, 5, 3)), r"shape \(samples, 5, 4\) for the input 'image'.*Received: \(2, 5, 3\)"),
        (np.zeros((0, 5, 4)), r"the same number of samples, at least one, .*Received: \[0\]"),
        ([np.zeros((2, 5, 4))] * 2, r"for the input 'image'.*Received: \(2, 2, 5, 4\)"),
        (iter(()), r"numbers for the input 'image'. Received: values of dtype object"),
        ({"picture": np.zeros((2, 5, 4))}, r"the inputs \['image'\]. Received: \['picture'\]"),
    ],
)
def test_data_that_does_not_fit(data: Any, message: str) -> None:
    model = keras.Sequential([keras.Input((5, 4), name="image"), SqueezeExcite(2)])
    with pytest.raises(ValueError, match=message):
        excitation.record(model, data)


def test_models_without_blocks_or_graph() -> None:
    plain = keras.Sequential([keras.Input((5, 4)), layers.ReLU()], name="plain")
    hidden = keras.Sequential([keras.Input((5, 4)), Wrapped(name="wrapped")], name="hidden")
    for model, received in (
        (plain, "'plain'$"),
        (hidden, r"'hidden', whose SE blocks \['wrapped/hidden'\] are outside it"),
    ):
        with pytest.raises(ValueError, match=f"SE blocks in its graph. Received: {received}"):
            excitation.record(model, noise(2, 5, 4))
    with pytest.raises(ValueError, match=r"with an Input\..* Received: 'late', a Sequential"):
        excitation.record(keras.Sequential([SqueezeExcite(2)], name="late"), noise(2, 5, 4))


# Summaries


def by_hand() -> Recording:
    """Two samples of three gates, from 0 to 2; four positions, from 0 to 1; and gates of a ReLU."""
    scaled = np.array([[0.05, 1.0, 1.95], [0.15, 1.0, 1.85]])
    spatial = np.array([[[0.01, 0.5], [0.5, 0.96]], [[0.01, 0.5], [0.5, 0.99]]])
    return Recording(
        "net",
        (
            Gates("a", "SqueezeExcite", scaled, bounds=(0.0, 2.0)),
            Gates("b", "SpatialSqueezeExcite", spatial, bounds=(0.0, 1.0)),
            Gates("a", "SqueezeExcite", np.array([[3.0], [5.0]]), call=2),
        ),
        (),
    )


def test_summaries_by_hand() -> None:
    a, b, c = excitation.summarize(by_hand()).blocks
    assert (a.label, a.gates, b.gates, c.label, c.gates) == ("a", 3, 4, "a (call 2)", 1)
    assert a.mean == pytest.approx(1.0)
    assert a.variance == pytest.approx((0.0025 + 0 + 0.0025) / 3)
    assert (a.closed, a.open) == pytest.approx((1 / 6, 1 / 6))  # below 0.1, above 1.9
    assert a.saturated == pytest.approx(1 / 3)
    assert b.variance == pytest.approx(0.015**2 / 4)
    assert (b.closed, b.open) == pytest.approx((2 / 8, 2 / 8))
    assert (c.mean, c.variance, c.closed, c.open, c.saturated) == (4.0, 1.0, None, None, None)
    wide = excitation.summarize(by_hand(), low=0.3, high=0.7).blocks
    assert (wide[0].closed, wide[0].open) == pytest.approx((2 / 6, 2 / 6))  # below 0.6, above 1.4


def test_summaries_as_json_and_as_a_table() -> None:
    summary = excitation.summarize(by_hand(), low=0.1)
    document = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert (document["model"], document["samples"], document["low"], document["high"]) == ("net", 2, 0.1, 0.95)
    assert document["blocks"][0]["bounds"] == [0.0, 2.0]
    assert document["blocks"][2]["saturated"] is None
    console = Console(width=100, record=True, file=StringIO())
    console.print(summary.table())
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["a", "3", "0", "to", "2", "1.000", "0.00167", "33.3%", "16.7%"] in lines
    assert ["a", "(call", "2)", "1", "-", "4.000", "1.00000", "-", "-"] in lines


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.9), (0.1, 1.1), (0.6, 0.5), (0.5, 0.5)])
def test_thresholds_out_of_range(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=f"with low < high. Received: low={low}, high={high}"):
        excitation.summarize(by_hand(), low, high)


def test_matplotlib_is_needed_for_pictures_alone() -> None:
    program = "import sys; sys.modules['matplotlib'] = None; import keras_se; print(keras_se.excitation.plot_means)"
    subprocess.run([sys.executable, "-c", program], check=True)
