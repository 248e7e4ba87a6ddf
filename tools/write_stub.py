"""Writes keras_se/models/__init__.pyi for editors and mypy: the signatures of the builders, which are made at run time.

python tools/write_stub.py
"""

import inspect
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from keras_se import models

STUB = Path(models.__file__).with_suffix(".pyi")
HEADER = """\
# Written by tools/write_stub.py (`make stub`) from the builders' signatures: not to be edited.
# fmt: off
# ruff: noqa: RUF022
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import keras

"""
# Short names for the long annotations, by the argument that has them.
ALIASES = {
    "weights": "_Weights",
    "input_shape": "_Shape",
    "classifier_activation": "_Activation",
    "se": "_Excitation",
}


def stub() -> str:
    """The text of the stub: every builder as a function, beside the name of the file that defines it."""
    shared = inspect.signature(models.SEResNet50).parameters
    aliases = {_annotation(shared[argument].annotation): alias for argument, alias in ALIASES.items()}
    others = sorted((_module(name), name) for name in models.__all__ if name not in models.BUILDERS)
    lines = [HEADER + "\n".join(f"from {module} import {name} as {name}" for module, name in others), ""]
    lines += [f"{alias} = {annotation}" for annotation, alias in aliases.items()]
    exported = _filled(f'"{name}"' for name in models.__all__)
    lines += ["BUILDERS: tuple[str, ...]", f"__all__ = [\n{exported}\n]"]
    lines += [_function(name, aliases) for name in sorted(models.BUILDERS, key=lambda name: (_module(name), name))]
    return "\n".join(lines) + "\n"


def _module(name: str) -> str:
    return getattr(models, name).__module__


def _function(name: str, aliases: dict[str, str]) -> str:
    builder = getattr(models, name)
    parameters, star = [], False
    for parameter in inspect.signature(builder).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parameters.append("*")
            star = True
        annotation = _annotation(parameter.annotation)
        text = f"{parameter.name}: {aliases.get(annotation, annotation)}"
        parameters.append(text if parameter.default is parameter.empty else f"{text} = {_literal(parameter.default)}")
    summary = inspect.cleandoc(builder.__doc__).splitlines()[0]
    file = f"{_module(name).replace('.', '/')}.py"
    return f'def {name}(  # {file}\n{_filled(parameters)}\n) -> keras.Model:\n    """{summary}"""'


def _literal(default: object) -> str:
    return f'"{default}"' if isinstance(default, str) else repr(default)


def _annotation(annotation: object) -> str:
    """An annotation with the public names of its classes."""
    text = inspect.formatannotation(annotation).replace("keras.src.layers.layer.", "keras.layers.")
    return re.sub(r"\b(collections\.abc|os|typing)\.", "", text).replace("keras.src.models.model.", "keras.")


def _filled(items: Iterable[str]) -> str:
    """Items on lines of 120 characters; a line ends after an item."""
    text = " ".join(f"{item},".replace(" ", "\0") for item in items)
    lines = textwrap.wrap(text, 116, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), "    ").replace("\0", " ")


if __name__ == "__main__":
    STUB.write_text(stub())
