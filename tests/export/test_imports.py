"""What importing costs, and what a missing package says."""

import subprocess
import sys

import pytest

from keras_se.export import Artifact, to_onnx, to_tflite
from tests.support.networks.exported import se_resnet

TOOLS = ("tf2onnx", "onnx", "onnxruntime", "ai_edge_litert", "ai_edge_quantizer", "matplotlib", "sklearn", "rich")


def python(program):
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


def test_importing_loads_no_tools_and_prints_nothing():
    # Keras itself imports matplotlib where it is installed: what counts is what comes on top of Keras.
    program = f"""
import sys, keras
before = set(sys.modules)
import keras_se, keras_se.models, keras_se.export
print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}} & set({TOOLS})))
"""
    assert python(program).strip() == ""


CASES = [
    (to_onnx, {}, "tf2onnx", "onnx"),
    (to_onnx, {}, "onnx", "onnx"),
    (to_onnx, {}, "onnxruntime", "onnx"),
    (to_tflite, {}, "ai_edge_litert.interpreter", "tflite"),
    (to_tflite, {"quantize": "dynamic"}, "ai_edge_quantizer", "tflite"),
]


@pytest.mark.parametrize(("convert", "options", "module", "extra"), CASES, ids=[case[2] for case in CASES])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, convert, options, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.split(".")[0]
    with pytest.raises(ImportError, match=rf"requires {package}, .*pip install 'keras-se\[{extra}\]'"):
        convert(se_resnet(), tmp_path / "model", **options)
    assert not list(tmp_path.iterdir())


def test_opening_a_file_without_its_runtime_names_the_extra(exported, monkeypatch):
    path = exported("se_resnet", "tflite").path
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-se\[tflite\]'"):
        Artifact.open(path)
