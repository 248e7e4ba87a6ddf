"""What happens once per export: arguments are resolved, data are read, and the model is cloned."""

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import export, to_tflite
from keras_se.export.data import calibration
from tests.support.networks import sample


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often data are read and checked, and models cloned."""
    counted: Counter[str] = Counter()

    def count(module: Any, name: str) -> None:
        function = getattr(module, name)

        def call(*args: Any, **options: Any) -> Any:
            counted[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(module, name, call)

    count(calibration, "_read")
    count(calibration, "feeds_of")
    count(keras.models, "clone_model")
    return counted


def test_int8_reads_data_once_and_clones_once(counts: Counter[str], tmp_path: Path) -> None:
    network = sample("se_resnet")
    to_tflite(network.model, tmp_path / "a.tflite", quantize="int8", calibration_data=network.data)
    assert counts == {"_read": 1, "feeds_of": 1, "clone_model": 1}


def test_half_precision_costs_one_more_clone(counts: Counter[str], tmp_path: Path) -> None:
    network = sample("mixed_float16")
    to_tflite(network.model, tmp_path / "a.tflite", quantize="int8", calibration_data=network.data)
    assert counts["clone_model"] == 2


def test_all_files_share_one_reading(counts: Counter[str], tmp_path: Path) -> None:
    network = sample("se_resnet")
    batches = (network.data[i : i + 8] for i in (0, 8))  # which can be read once only
    artifacts = export(network.model, tmp_path, ("tflite", "onnx"), quantize="int8", calibration_data=batches)
    assert [artifact.calibration["samples"] for artifact in artifacts] == [16, 16]
    assert counts["_read"] == 1


def test_a_wrong_option_is_refused_before_data_are_read(counts: Counter[str], tmp_path: Path) -> None:
    network = sample("se_resnet")
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        to_tflite(network.model, tmp_path / "a.tflite", quantize="int8", calibration_data=np.ones(3), batch_size=0)
    assert counts["_read"] == 0
