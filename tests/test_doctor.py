"""`keras-se doctor`: against made-up environments, and this one."""

import json
from importlib import metadata

import pytest

from keras_se import cli
from keras_se.cli.commands import doctor as command
from keras_se.doctor import EXTRAS, diagnose

REQUIRES = [
    "keras>=3.12",
    "numpy>=2.1",
    'tensorflow>=2.20; extra == "tensorflow"',
    'tensorflow>=2.20; extra == "onnx"',
    'tf2onnx>=1.17; extra == "onnx"',
    'torch>=2.13; extra == "torch"',
    'oldwindows>=1; sys_platform == "none" and extra == "torch"',
    'ruff>=0.17; extra == "test"',
]
SOUND = {"keras": "3.15.1", "numpy": "2.4.6", "tensorflow": "2.21.0", "tf2onnx": "1.17.0"}


def found(**versions: str | None):
    return diagnose({**SOUND, **versions}.get, REQUIRES)


def test_a_sound_environment() -> None:
    diagnosis = found()
    assert diagnosis.problems == ()
    assert diagnosis.extras == {"": True, "tensorflow": True, "onnx": True, "torch": False}
    assert [package.name for package in diagnosis.packages] == ["keras", "numpy", "tensorflow", "tf2onnx", "torch"]
    (tensorflow,) = (package for package in diagnosis.packages if package.name == "tensorflow")
    assert (tensorflow.extras, tensorflow.wanted) == (("tensorflow", "onnx"), ">=2.20")


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        ({"keras": None}, r"keras is missing."),
        ({"tensorflow": None}, "Keras has no backend: install one of tensorflow, jax, torch."),
        ({"keras": "3.11.0"}, "keras must be >=3.12. Found: 3.11.0."),
        ({"tf2onnx": "1.16.1"}, "tf2onnx must be >=1.17. Found: 1.16.1."),
        ({"tf2onnx": "1.16.1"}, "tf2onnx 1.16.1 with numpy 2.4.6: tf2onnx before 1.17 cannot be imported"),
        ({"tensorflow-cpu": "2.21.0"}, "tensorflow 2.21.0 with tensorflow-cpu 2.21.0: They overwrite"),
        ({"keras": "2.15.0"}, "tensorflow 2.21.0 with keras 2.15.0: TensorFlow with Keras 2"),
    ],
)
def test_a_problem_is_a_sentence(versions: dict[str, str | None], problem: str) -> None:
    assert [text for text in found(**versions).problems if text.startswith(problem)]


def test_a_backend_that_is_chosen_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (problem,) = found().problems
    assert problem == "KERAS_BACKEND selects jax, which is missing: install it, or select another."
    assert found(jax="0.10.2").problems == ()


def test_what_is_missing_of_an_extra_is_no_problem_but_said() -> None:
    diagnosis = found(tf2onnx=None)
    assert diagnosis.problems == ()
    assert not diagnosis.extras["onnx"]
    assert diagnosis.extras["tensorflow"]


def test_every_extra_for_users_is_described() -> None:
    extras = set(metadata.metadata("keras-se").get_all("Provides-Extra") or ())
    assert {extra for extra, _ in EXTRAS} - {""} == extras - {"demo", "test", "reference"}


def test_this_environment(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    versions = {package["name"]: package["found"] for package in document["packages"]}
    assert versions["tensorflow"] == metadata.version("tensorflow")
    assert document["extras"]["export"]
    assert cli.run(["doctor"]) == 0
    assert "No problem found." in capfd.readouterr().out


def test_what_to_install_and_the_exit_status(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "diagnose", lambda: found(keras="3.11.0"))
    assert cli.run(["doctor"]) == 1
    out = capfd.readouterr().out
    assert "pip install 'keras-se[torch]'" in out
    assert "keras must be >=3.12. Found: 3.11.0." in out
