"""SEUNet and LRASPP as files: rewrites before conversion are exact, resizing is one operation, 8 bits are enough."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import onnx
import pytest

from keras_se.export import FORMATS
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.models import LRASPP, SEUNet
from tests.export.test_every_network import ERRORS, FLOAT_ERROR, SAMPLES, assert_one_partition
from tests.export.tflite.test_tflite import operations
from tests.support.arrays import relative_error
from tests.support.cases import case
from tests.support.networks import NARROW
from tests.support.networks.families import CLASSES, Row, enliven


class Case(NamedTuple):
    """A head on a narrow network, and how often it resizes."""

    head: Callable[..., keras.Model]
    row: Row
    resizings: int


CASES = {
    "unet": Case(SEUNet, NARROW["mobilenet_v2"], 5),
    "unet_scse": Case(partial(SEUNet, se="scse"), NARROW["resnet"], 3),
    # Its sizes do not halve: 25, 11, 5 and 2 in an image of 107.
    "unet_inception": Case(SEUNet, NARROW["inception_v3"], 5),
    "lraspp": Case(LRASPP, NARROW["mobilenet_v3"], 2),
}
# With random weights it amplifies rounding so much that the comparison is said to tell little; the bound below holds.
AMPLIFYING = ("unet_inception",)


class Segmenter(NamedTuple):
    """A model with its images: those that it is calibrated on, and others with the logits of them."""

    model: keras.Model
    known: np.ndarray
    new: np.ndarray
    expected: np.ndarray


@lru_cache(maxsize=1)  # the tests of a model follow one another
def segmenter(name: str) -> Segmenter:
    head, row, _ = CASES[name]
    model = head(row.build(include_top=False), CLASSES, classifier_activation=None)
    known, new = row.images(SAMPLES, seed=1), row.images(8, seed=2)
    enliven(model, known)
    expected = model.predict(new, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.1 * np.abs(expected).max(), "the image must make a difference"
    assert expected.std(axis=(1, 2)).min() > 0.01 * expected.std(), "the place must make a difference"
    return Segmenter(model, known, new, expected)


# In each run TFLite and ONNX as they are by default, and of one model the rest, too.
FLOATS = [
    case(name, form, optimize, slow=not often)
    for name in CASES
    for form in ("tflite", "onnx", "saved_model")
    for optimize in (True, False)
    for often in [name == "unet_scse" or (optimize and form != "saved_model")]
]


@pytest.mark.parametrize(("name", "format", "optimize"), FLOATS)
def test_float(name: str, format: str, optimize: bool, tmp_path: Path) -> None:
    model, _, new, expected = segmenter(name)
    artifact = FORMATS[format].convert(model, tmp_path / f"model{FORMATS[format].suffix}", optimize=optimize)
    assert artifact.parity.passed
    assert artifact.parity.conclusive
    assert np.abs(artifact.predict(new) - expected).max() < FLOAT_ERROR * np.abs(expected).max()
    if format == "tflite":
        assert operations(artifact)["RESIZE_BILINEAR"] == CASES[name].resizings
        assert_one_partition(artifact)
    if format == "onnx":
        nodes = [node.op_type for node in onnx.load(artifact.path).graph.node]
        assert nodes.count("Resize") == CASES[name].resizings
        assert not optimize or "BatchNormalization" not in nodes


# In each run every mode of one of each head; the test below has int8 of another one.
QUANTIZED = [
    case(name, form, mode, slow=not often)
    for name in CASES
    for form, mode in (("tflite", "int8"), ("onnx", "int8"), ("tflite", "dynamic"))
    for often in [name in ("unet_scse", "lraspp")]
]


@pytest.mark.parametrize(("name", "format", "mode"), QUANTIZED)
def test_8_bits(name: str, format: str, mode: str, tmp_path: Path) -> None:
    model, known, new, expected = segmenter(name)
    data = {"calibration_data" if mode == "int8" else "verification_data": known}
    artifact = FORMATS[format].convert(model, tmp_path / f"model{FORMATS[format].suffix}", quantize=mode, **data)
    assert artifact.parity.passed
    assert artifact.parity.conclusive or name in AMPLIFYING
    outputs = artifact.predict(new)
    assert relative_error(expected - expected.mean(axis=0), outputs - outputs.mean(axis=0)) < ERRORS[mode]


@pytest.mark.parametrize("name", ["unet", "lraspp"])
def test_int8_of_a_mobile_network_is_one_partition(name: str, tmp_path: Path) -> None:
    model, known, *_ = segmenter(name)
    options: dict = {"quantize": "int8", "calibration_data": known, "io_dtype": "int8"}
    artifact = FORMATS["tflite"].convert(model, tmp_path / "model.tflite", **options)
    assert_one_partition(artifact)


@pytest.mark.parametrize("head", [partial(SEUNet, se="scse"), LRASPP])
def test_rewrites_are_exact(head: Callable[..., keras.Model]) -> None:
    """To 5e-5: TensorFlow resizes in float32 whatever it gets, and the decoder makes more of what that rounds."""
    keras.config.set_dtype_policy("float64")
    backbone = NARROW["mobilenet_v3"].build(include_top=False, include_preprocessing=False)
    model = head(backbone, CLASSES, classifier_activation=None)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 32, 32, 3)).astype("float32")  # an input is of float32 in any case
    for weight in model.weights:
        positive = weight.name in ("moving_variance", "gamma")
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0, 0.2, weight.shape))
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    rewritten, notes = optimized(InferenceModel(model), runtime="TensorFlow")
    assert notes == []
    kinds = [type(layer).__name__ for layer in rewritten.model.layers]
    assert "BatchNormalization" not in kinds
    assert kinds.count("ResizeLike") == sum(type(layer).__name__ == "ResizeLike" for layer in model.layers) > 1
    actual = keras.ops.convert_to_numpy(rewritten.model(x))
    assert np.abs(actual - expected).max() <= 5e-5 * np.abs(expected).max()


def test_an_unknown_size_is_known_in_the_file(tmp_path: Path) -> None:
    """Of any size in Keras; of the file's inside of it, so that resizing is one operation there, too."""
    model = SEUNet(NARROW["resnet"].build(input_shape=(None, None, 3), include_top=False), CLASSES)
    x = np.random.default_rng(0).normal(size=(2, 45, 60, 3)).astype("float32")
    enliven(model, x)
    known, path = {"input_shape": (45, 60, 3)}, tmp_path / "model.tflite"
    for artifact in (
        FORMATS["tflite"].convert(model, path, verification_data=x, **known),
        FORMATS["onnx"].convert(model, tmp_path / "model.onnx", verification_data=x),
    ):
        assert np.abs(artifact.predict(x) - model.predict(x, verbose=0)).max() < FLOAT_ERROR
        if artifact.format == "tflite":
            assert operations(artifact)["RESIZE_BILINEAR"] == 4
            assert_one_partition(artifact)
