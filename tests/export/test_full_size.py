"""SE-ResNet-50 as people ship it: 224x224, every format and mode."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_se.export import DEFAULT_FORMATS, FORMATS, export
from keras_se.models import SEResNet50

pytestmark = pytest.mark.slow


def test_se_resnet_50_exports_to_everything(tmp_path: Path) -> None:
    model = SEResNet50()
    images = np.random.default_rng(0).normal(size=(8, 224, 224, 3)).astype("float32")
    artifacts = export(model, tmp_path, quantize=FORMATS["tflite"].modes, calibration_data=images)
    assert len(artifacts) == sum(len(FORMATS[name].modes) for name in DEFAULT_FORMATS)
    for artifact in artifacts:
        parity = artifact.parity
        assert parity is not None
        assert parity.passed
        if artifact.quantize is None:
            assert parity.cosine >= 0.999999
            assert parity.top1_agreement == 1
        if artifact.quantize == "float16":
            assert parity.cosine >= 0.9999
        print(artifact.path.name, artifact.size, parity)

    floats = [
        tensor["name"]
        for tensor in _interpreter(tmp_path / "se_resnet50_int8.tflite").get_tensor_details()
        if tensor["dtype"] == np.float32
    ]
    assert len(floats) == 2  # the input and the output


def _interpreter(path: Path) -> Interpreter:
    return Interpreter(model_path=str(path))
