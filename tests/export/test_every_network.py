"""Every builder, its images shrunk, in every format: right in the file's own runtime, and in one piece."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import onnx
import pytest

from keras_se.export import FORMATS, Artifact
from keras_se.export.inspect import inspect
from keras_se.export.modes import calibrated_names
from keras_se.export.targets.check import verdict
from tests.export.tflite.test_tflite import operations, outside_the_delegate
from tests.support.arrays import relative_error
from tests.support.cases import case
from tests.support.networks import FULL, NARROW
from tests.support.networks.families import DEEP, TABLE, enliven
from tests.support.runtimes import interpreter

SAMPLES = 24
# Of the largest output.
FLOAT_ERROR = 1e-4
# Of what the images differ in: a file that takes no notice of its image is off by 1.
ERRORS = {"float16": 0.03, "dynamic": 0.25, "int8": 0.3, "int16x8": 0.2, "selective": 0.3}
# Times as much, at full width and depth: 8 bits of SE-MobileNet with random weights are off by 0.31.
WIDER = 4 / 3
# With random weights these amplify rounding so much, at full depth, that the comparison is said to tell little; the
# bound above holds for them, too.
AMPLIFYING = ("SEBNInception", "SEInceptionV3")
MOBILE = ("SEMobileNet", "SEMobileNetV2", "SEMobileNetV3Small", "SEMobileNetV3Large", "SEShuffleNet")
# Of the other families, the narrow ones and one at its full width.
FULL_IN_INT8 = (
    *("SEResNet50", "SEResNeXt50", "SEResNet20", "SEResNet164", "SEVGG16", "SEDenseNet121"),
    *("SENet154", "SEBNInception", "SEInceptionV3", "SEInceptionResNetV2"),
)


class Network(NamedTuple):
    """A network with its images: those that it is calibrated on, and others with the logits of them."""

    model: keras.Model
    known: np.ndarray
    new: np.ndarray
    expected: np.ndarray


@lru_cache(maxsize=1)  # the tests of a network follow one another, and some networks are large
def network(name: str) -> Network:
    row = TABLE[name]
    model = row.build(classifier_activation=None)
    known, new = row.images(SAMPLES, seed=1), row.images(8, seed=2)
    enliven(model, known)
    expected = model(new, training=False).numpy()
    assert np.ptp(expected, axis=0).max() > 0.1 * np.abs(expected).max(), "the image must make a difference"
    return Network(model, known, new, expected)


# In each run ONNX of every narrow network of few layers, and of one of each kind of the deep ones; TFLite of some, and
# of others in int8, below; a SavedModel, which TensorFlow itself writes, of one. The sources for microcontrollers of a
# network at its full width are hundreds of megabytes of text.
SHALLOW = [name for name in NARROW if name not in DEEP]
OFTEN = {(name, "onnx") for name in (*SHALLOW, "bn_inception", "mobilenet_v3", "shufflenet")}
OFTEN |= {(name, "tflite") for name in ("resnet", "senet", "vgg", "densenet")} | {("densenet", "saved_model")}
FLOATS = [
    case(name, row.name, slow=(name, row.name) not in OFTEN)
    for name in TABLE
    for row in FORMATS.values()
    if name in NARROW or row.name != "microcontroller"
]


@pytest.mark.parametrize(("name", "format"), FLOATS)
def test_float_file_computes_what_keras_computes(name: str, format: str, tmp_path: Path) -> None:
    model, _, new, expected = network(name)
    artifact = FORMATS[format].convert(model, tmp_path / f"model{FORMATS[format].suffix}")
    assert artifact.parity.passed
    assert artifact.parity.conclusive
    assert np.abs(artifact.predict(new) - expected).max() < FLOAT_ERROR * np.abs(expected).max()
    if format == "onnx":
        onnx.checker.check_model(artifact.path, full_check=True)
    if format == "tflite":
        assert_one_partition(artifact)


# Every mode of every format, on every narrow network: in each run TFLite's int8 of all but the deepest, and of one
# that has every kind of layer in ONNX. (test_formats.py has every mode of every format, too.)
DEEPEST = ("bn_inception", "inception_v3", "inception_resnet", "mobilenet", "resnet_cifar", "wide_resnet", "resnext")
QUANTIZED = [
    case(name, row.name, mode, slow=not often)
    for name in NARROW
    for row in FORMATS.values()
    for mode in row.modes
    for often in [
        ((row.name, mode) == ("tflite", "int8") and name not in DEEPEST)
        or (name, mode, row.name) == ("mobilenet_v3", "int8", "onnx")
    ]
    if mode
]


@pytest.mark.parametrize(("name", "format", "mode"), QUANTIZED)
def test_quantized_file_is_close_to_keras(name: str, format: str, mode: str, tmp_path: Path) -> None:
    check_quantized(name, format, mode, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["tflite", "onnx"])
@pytest.mark.parametrize("name", [*MOBILE, *FULL_IN_INT8])
def test_int8_file_at_full_width_is_close_to_keras(name: str, format: str, tmp_path: Path) -> None:
    check_quantized(name, format, "int8", tmp_path)


@pytest.mark.reference
@pytest.mark.parametrize(
    "name",
    [
        *("mobilenet", "mobilenet_v2", "mobilenet_v3", "shufflenet"),
        *(case(name, slow=True) for name in MOBILE),
    ],
)
def test_int8_mobile_networks_fit_every_target(name: str, tmp_path: Path) -> None:
    model, known, _, _ = network(name)
    options: dict = {"quantize": "int8", "calibration_data": known, "io_dtype": "int8"}
    artifact = FORMATS["tflite"].convert(model, tmp_path / "model.tflite", **options)
    assert_one_partition(artifact)
    tensors = interpreter(artifact.path).get_tensor_details()
    assert {np.dtype(tensor["dtype"]).name for tensor in tensors} <= {"int8", "int32"}
    found = inspect(artifact.path)
    for target in ("phone-cpu", "microcontroller", "ethos-u"):  # the last is Vela, for Ethos-U55-128 and U65-256
        assert [str(reason) for reason in verdict(found, target).reasons] == []


def check_quantized(name: str, format: str, mode: str, folder: Path) -> None:
    model, known, new, expected = network(name)
    data = {"calibration_data": known} if mode in calibrated_names() else {}
    artifact = FORMATS[format].convert(model, folder / f"model{FORMATS[format].suffix}", quantize=mode, **data)
    assert artifact.parity.passed
    assert artifact.parity.conclusive == (name not in AMPLIFYING)
    assert artifact.quantize == Artifact.open(artifact.path).quantize == mode
    outputs = artifact.predict(new)
    allowed = ERRORS[mode] * (WIDER if name in FULL else 1)
    assert relative_error(expected - expected.mean(axis=0), outputs - outputs.mean(axis=0)) < allowed


def assert_one_partition(artifact: Artifact) -> None:
    assert operations(artifact)["DELEGATE"] == 1
    assert outside_the_delegate(artifact.path) == []
