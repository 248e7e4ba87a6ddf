"""ONNX files compute in OpenVINO what they compute in ONNX Runtime and in Keras."""

from pathlib import Path

import numpy as np
import pytest

from keras_se.export import FORMATS, to_onnx
from tests.export.test_every_network import FLOAT_ERROR, network
from tests.export.test_formats import assert_close
from tests.support.cases import case
from tests.support.networks import EXPORTED, NARROW, sample
from tests.support.networks.families import TABLE
from tests.support.runtimes import run_openvino


@pytest.mark.parametrize("mode", FORMATS["onnx"].modes)
@pytest.mark.parametrize("name", [case(name, slow=name == "se_mobilenet") for name in EXPORTED])
def test_every_mode_runs_in_openvino(exported, name, mode):
    expected = sample(name).expected
    assert_close(expected, run_openvino(exported(name, "onnx", mode).path, sample(name).feeds), mode)


@pytest.mark.parametrize("name", [case(name, slow=name not in NARROW) for name in TABLE])
def test_every_network_runs_in_openvino(name: str, tmp_path: Path) -> None:
    model, _, new, expected = network(name)
    to_onnx(model, tmp_path / "model.onnx")
    (outputs,) = run_openvino(tmp_path / "model.onnx", {model.inputs[0].name: new}).values()
    assert np.abs(outputs - expected).max() < FLOAT_ERROR * np.abs(expected).max()
