"""`keras-se` with published weights: a folder in place of a model."""

import json
import warnings
from pathlib import Path

import pytest

from keras_se import cli
from keras_se import models as builders
from keras_se.cli import model_argument
from keras_se.cli.console import Output
from keras_se.weights import ARCHITECTURES, NewClassifierWarning
from tests.support.checkpoints import CONFIG, NETWORKS, checkpoint, write_folder

NAME = "mobilenetv3_small_100"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder, options = ARCHITECTURES[NAME]
    model = getattr(builders, builder)(**options, input_shape=(32, 32, 3), classes=5)
    tensors = checkpoint(NETWORKS["mobilenetv3"], model).tensors
    return write_folder(tmp_path_factory.mktemp("weights"), tensors, {**CONFIG, "architecture": NAME, "num_classes": 5})


def test_a_new_classifier_is_said(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["complexity", str(folder), "--input-shape", "32,32,3", "--classes", "9"]) == 0
    assert "has other classes than" in " ".join(capfd.readouterr().out.split())


def test_one_document_with_json_all_the_same(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["complexity", str(folder), "--input-shape", "32,32,3", "--classes", "9", "--json"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["parameters"] > 0
    assert printed.err.startswith("Note: ")
    assert "has other classes than" in printed.err
    assert printed.err.count("\n") == 1


def test_other_warnings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(name: str, options: dict[str, object]) -> None:
        warnings.warn("something else", UserWarning, stacklevel=1)
        warnings.warn("a classifier", NewClassifierWarning, stacklevel=1)

    monkeypatch.setattr(model_argument, "_load", loaded)
    output = Output()
    with pytest.warns(UserWarning, match="something else") as caught:
        model_argument.load(output, "SEResNet50", {})
    assert [str(warning.message) for warning in caught] == ["something else"]
    assert output.notes == ["a classifier"]
