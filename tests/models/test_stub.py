"""The signatures that editors and mypy see are those of the builders."""

import runpy
from pathlib import Path

import pytest
from mypy import api

from keras_se import models

ROOT = Path(__file__).parents[2]
PROGRAM = """\
from keras_se.models import SEResNet, SEResNet50, feature_pyramid
reveal_type(SEResNet50())
reveal_type(feature_pyramid(SEResNet((1, 1), filters=(8, 16))))
SEResNet50(clases=10)
SEResNet50(depths=(1, 1))
SEResNet50(r="16")
SEResNet()
"""


def test_stub_matches_runtime_signatures() -> None:
    written = Path(models.__file__).with_suffix(".pyi").read_text()
    assert written == runpy.run_path(str(ROOT / "tools/write_stub.py"))["stub"](), "run `make stub`"


def test_mypy_checks_calls_of_builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras itself has no types: here it is a stub of its two classes."""
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras/__init__.pyi").write_text("from keras import layers as layers\nclass Model: ...\n")
    (tmp_path / "keras/layers.pyi").write_text("class Layer: ...\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("MYPYPATH", f"{tmp_path}:{ROOT}")
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--no-error-summary"]
    cache = f"--cache-dir={tmp_path / 'cache'}"
    output, problem, _ = api.run([*options, cache, str(tmp_path / "program.py")])
    found = [line.split("program.py:")[1] for line in output.splitlines() if "defined in" not in line]
    assert found == [
        '2: note: Revealed type is "keras.Model"',
        '3: note: Revealed type is "keras.Model"',
        '4: error: Unexpected keyword argument "clases" for "SEResNet50"; did you mean "classes"?  [call-arg]',
        '5: error: Unexpected keyword argument "depths" for "SEResNet50"  [call-arg]',
        '6: error: Argument "r" to "SEResNet50" has incompatible type "str"; expected "int | None"  [arg-type]',
        '7: error: Missing positional argument "depths" in call to "SEResNet"  [call-arg]',
    ], output + problem
