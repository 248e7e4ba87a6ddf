"""Every example in a docstring of the package gives what it says."""

import doctest
import importlib
import inspect
import pkgutil
from typing import Any

import pytest

import keras_se
import keras_se.export


def documented() -> dict[str, str]:
    """The docstrings with an example, by the name of what they describe."""
    found = {}
    packages = [(keras_se.__path__, "keras_se."), (keras_se.export.__path__, "keras_se.export.")]
    for info in [info for path, prefix in packages for info in pkgutil.walk_packages(path, prefix)]:
        if info.name.startswith("keras_se.export.probes."):  # programs, which import what lies beside them
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != info.name:
                continue
            for path, member in [(name, value), *methods(name, value)]:
                if ">>>" in (inspect.getdoc(member) or ""):
                    found[f"{info.name}.{path}"] = inspect.getdoc(member)
    return found


def methods(name: str, value: Any) -> list[tuple[str, Any]]:
    return [(f"{name}.{key}", member) for key, member in vars(value).items()] if inspect.isclass(value) else []


EXAMPLES = documented()


def test_there_are_examples() -> None:
    assert {"keras_se.layers.squeeze_excite.SqueezeExcite", "keras_se.models.families.resnet.SEResNet"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], {}, name, None, None)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)
