"""Every format and mode, of every kind of network: the file computes what Keras computes."""

from pathlib import Path

import numpy as np
import pytest

from keras_se.export import FORMATS, TOLERANCES, Artifact, ExportError
from tests.support.arrays import relative_error
from tests.support.cases import case
from tests.support.networks import EXPORTED, sample
from tests.support.networks.exported import packed
from tests.support.runtimes import run_onnx, run_saved_models, run_tflite

# The largest relative error of a sound file of these networks. One that ignores its inputs has 1.
LIMITS = {None: 5e-6, "float16": 4e-3, "dynamic": 0.05, "int8": 0.1, "int16x8": 0.05, "selective": 0.1}
# It enlarges its maps with an operation that boards have no kernel for.
LACKING = ("microcontroller", "segmentation")
# Runtimes used without keras_se; TensorFlow's is a process of its own, below.
ALONE = {"tflite": run_tflite, "onnx": run_onnx}


def by_name(outputs, names):
    return outputs if isinstance(outputs, dict) else {names[0]: outputs}


def assert_close(expected, actual, mode):
    assert set(actual) == set(expected)
    errors = {name: relative_error(expected[name], actual[name]) for name in expected}
    assert max(errors.values()) < LIMITS[mode], errors


def often(format: str, mode: str | None, name: str) -> bool:
    """What each run has: every network in float32 and int8, some in the other modes.

    Exports of se_mobilenet take long: test_tflite.py and test_onnx.py have some. What is made for microcontrollers is a
    TFLite file.
    """
    if name == "se_mobilenet":
        return False
    if format == "microcontroller":
        return name in ("se_resnet", "two_inputs", LACKING[1])
    return mode in (None, "int8") or name in ("se_resnet", "two_inputs", "sequence")


CASES = [
    case(row.name, mode, name, slow=not often(row.name, mode, name))
    for row in FORMATS.values()
    for mode in row.modes
    for name in EXPORTED
]


@pytest.mark.parametrize(("format", "mode", "name"), CASES)
def test_file_computes_what_keras_computes(exported, format, mode, name):
    if (format, name) == LACKING:
        with pytest.raises(ExportError, match="does not support TILE"):
            exported(name, format, mode)
        return
    artifact, network = exported(name, format, mode), sample(name)
    assert (artifact.format, artifact.quantize) == (format, mode)
    assert artifact.parity.passed
    assert artifact.parity.error <= artifact.parity.tolerance
    # A network that amplifies rounding is allowed more, but never what a file that ignores its inputs has.
    assert TOLERANCES[mode] <= artifact.parity.tolerance < 0.5
    assert artifact.size == bytes_of(artifact.path)
    outputs = by_name(artifact.predict(network.data), EXPORTED[name].outputs)
    assert_close(network.expected, outputs, mode)
    if format in ALONE:
        assert_close(network.expected, ALONE[format](artifact.path, network.feeds), mode)


def bytes_of(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.glob("**/*") if file.is_file()]
    return sum(len(file.read_bytes()) for file in files)


def test_saved_models_run_in_tensorflow_without_keras(exported, tmp_path):
    names = ("se_resnet", "grouped", "two_inputs", "sequence")
    folders = []
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model").symlink_to(exported(name, "saved_model").path)
        np.savez(folder / "feeds.npz", **sample(name).feeds)
        folders.append(folder)
    for name, outputs in zip(names, run_saved_models(folders), strict=True):
        assert_close(sample(name).expected, outputs, None)


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "microcontroller"])  # it has a batch of 1
@pytest.mark.parametrize("count", [1, 3, 5])
def test_any_number_of_samples_runs_in_a_fixed_batch(exported, format, count):
    artifact, network = exported("se_resnet", format, batch_size=3), sample("se_resnet")
    outputs = artifact.predict(network.data[:count])
    assert_close({"predictions": network.expected["predictions"][:count]}, {"predictions": outputs}, None)


@pytest.mark.parametrize("format", FORMATS)
def test_opened_file_computes_the_same_by_name(exported, format):
    artifact, network = exported("two_inputs", format), sample("two_inputs")
    opened = Artifact.open(artifact.path)
    assert (opened.format, opened.quantize, opened.parity) == (format, None, None)
    # Without the model nothing tells the order of its inputs: they go by name.
    assert_close(network.expected, opened.predict(network.feeds), None)


@pytest.mark.parametrize("mode", [mode for mode in FORMATS["tflite"].modes if mode])
def test_opened_tflite_file_knows_its_mode(exported, mode):
    assert Artifact.open(exported("se_resnet", "tflite", mode).path).quantize == mode


@pytest.mark.parametrize("format", FORMATS)
def test_predict_takes_inputs_in_the_models_order_or_by_name(exported, format):
    artifact, network = exported("two_inputs", format), sample("two_inputs")
    assert_close(artifact.predict(packed(network.feeds)), artifact.predict(network.feeds), None)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 16, 16)), r"shape \(samples, 16, 16, 3\)"),
        (np.zeros((2, 3, 16, 16)), r"shape \(samples, 16, 16, 3\)"),
        (np.zeros((0, 16, 16, 3)), "at least one"),
        ({"picture": np.zeros((2, 16, 16, 3))}, "image"),
        (np.full((2, 16, 16, 3), "x"), "numbers"),
    ],
    ids=["rank", "channels first", "no samples", "another name", "strings"],
)
def test_predict_refuses_batches_of_other_shapes(exported, format, batch, message):
    with pytest.raises(ValueError, match=message):
        exported("se_resnet", format).predict(batch)


@pytest.mark.parametrize("format", FORMATS)
def test_to_dict_has_the_fields_of_the_artifact(exported, format):
    artifact = exported("se_resnet", format)
    described = artifact.to_dict()
    assert described["path"] == str(artifact.path)
    assert described["size"] == artifact.size
    assert described["parity"]["error"] == artifact.parity.error
    assert described["notes"] == []
