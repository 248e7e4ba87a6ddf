"""Verdicts: files that fit, files that do not, and what is said of them. Vela is asked itself."""

import pytest
import tensorflow as tf

from keras_se.export import inspect as inspect_module
from keras_se.export.targets import vela as ethos_u
from keras_se.export.targets.check import verdict, verdicts
from keras_se.export.targets.rules import TARGETS, Operators
from tests.export.inspect.test_inspect import converted

inspect = getattr(inspect_module, "inspect", inspect_module)
FOR_TFLITE = ["phone-cpu", "phone-gpu", "microcontroller", "ethos-u"]


def test_every_row_names_its_source():
    assert list(TARGETS) == [*FOR_TFLITE, "onnxruntime-mobile"]
    for target in TARGETS.values():
        assert target.rows
        assert all(row.source for row in target.rows)
        assert all(row.kinds for row in target.rows if isinstance(row, Operators))


@pytest.mark.parametrize("name", ["se_mobilenet", "se_resnet"])
def test_int8_with_int8_ends_fits_everywhere(exported, name):
    found = verdicts(inspect(exported(name, "tflite", "int8", io_dtype="int8").path))
    assert [(one.target, one.reasons) for one in found] == [(target, ()) for target in FOR_TFLITE]


@pytest.mark.parametrize(
    ("name", "mode", "fits"),
    [
        ("se_resnet", None, ["phone-cpu", "phone-gpu", "microcontroller"]),
        ("se_resnet", "float16", ["phone-cpu", "phone-gpu"]),
        ("se_resnet", "dynamic", ["phone-cpu", "phone-gpu"]),
        ("se_resnet", "int8", ["phone-cpu", "phone-gpu", "microcontroller"]),
        ("se_mobilenet", "int16x8", ["microcontroller"]),
    ],
)
def test_each_mode_fits_some(exported, name, mode, fits):
    found = verdicts(inspect(exported(name, "tflite", mode).path))
    assert [one.target for one in found if one.passed] == fits
    for one in found:
        assert all(reason.problem and reason.action and reason.source for reason in one.reasons)


@pytest.mark.reference
def test_vela_names_what_stays_on_the_cpu(exported):
    found = verdict(inspect(exported("se_resnet", "tflite", "int8").path), "ethos-u")
    said = [str(reason) for reason in found.reasons]
    assert len(said) == 2
    assert all("io_dtype='int8'" in one and "ethos-u55-128, ethos-u65-256" in one for one in said)
    assert {kind for kind in ("QUANTIZE", "DEQUANTIZE") if any(f"leaves {kind} " in one for one in said)} == {
        "QUANTIZE",
        "DEQUANTIZE",
    }


@pytest.mark.reference
@pytest.mark.parametrize(("mode", "io_dtype"), [("int8", "int8"), ("int8", "float32"), (None, "float32")])
def test_without_vela_its_documentation_says_the_same(exported, monkeypatch, mode, io_dtype):
    found = inspect(exported("se_resnet", "tflite", mode, io_dtype=io_dtype).path)
    asked = verdict(found, "ethos-u")
    monkeypatch.setattr(ethos_u, "installed", lambda: False)
    read = verdict(found, "ethos-u")
    assert {reason.where for reason in read.reasons} == {reason.where for reason in asked.reasons}


def test_an_operation_that_the_gpu_does_not_have(tmp_path):
    path = converted(tmp_path / "a.tflite", tf.nn.log_softmax, tf.TensorSpec((1, 4)))
    found = inspect(path)
    for target in ("phone-gpu", "ethos-u"):
        own = verdict(found, target)
        assert not own.passed
        assert "LOG_SOFTMAX" in str(own.reasons[0])
        assert own.reasons[0].where == found.operations[0].name


def test_flex_operations_fit_nowhere(tmp_path):
    found = inspect(converted(tmp_path / "a.tflite", tf.linalg.inv, tf.TensorSpec((4, 4)), flex=True))
    for one in verdicts(found):
        assert not one.passed
        assert "FlexMatrixInverse" in str(one.reasons[0]) or one.target == "ethos-u"


def test_a_shape_that_is_not_fixed(tmp_path):
    path = converted(tmp_path / "a.tflite", lambda x: tf.nn.relu(x) + 1.0, tf.TensorSpec((None, 4)))
    found = verdict(inspect(path), "microcontroller")
    assert "dynamic shape" in str(found.reasons[0])
    assert "batch_size=1" in found.reasons[0].action


def test_a_batch_of_several(exported):
    found = verdict(inspect(exported("se_resnet", "tflite", batch_size=3).path), "microcontroller")
    assert [str(reason) for reason in found.reasons] == ["image: The batch size is 3. Export with batch_size=1."]


def test_onnx_fits_phones(exported):
    found = inspect(exported("se_mobilenet", "onnx").path)
    assert verdicts(found) == [verdict(found, "onnxruntime-mobile")]
    assert verdict(found, "onnxruntime-mobile").passed


def test_another_format(exported):
    found = verdict(inspect(exported("se_resnet", "onnx").path), "phone-gpu")
    assert not found.passed
    assert str(found.reasons[0]) == (
        "phone-gpu requires a file in the format tflite; this file is onnx. Export it with to_tflite."
    )


def test_a_target_that_is_not_known(exported):
    with pytest.raises(ValueError, match=r"target must be one of 'phone-cpu'.*Received: target='toaster'"):
        verdict(inspect(exported("se_resnet", "onnx").path), "toaster")
