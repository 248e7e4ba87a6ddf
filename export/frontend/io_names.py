"""Names of inputs and outputs that are valid in every format and the same in every run."""

import keyword
import re
from typing import Any

import keras

from keras_se.graph.keras_private import producer


def input_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.inputs):
        names = sorted(structure)
    else:
        # Keras numbers unnamed tensors over the whole process: such a name would change from run to run.
        unnamed = re.compile(r"keras_tensor(_\d+)?|input_layer(_\d+)?")
        names = ["input" if unnamed.fullmatch(tensor.name) else tensor.name for tensor in model.inputs]
    # Signatures are called with inputs by keyword.
    return unique_names([f"{name}_" if keyword.iskeyword(name) or name == "self" else name for name in names])


def output_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.outputs):
        return sorted(structure)
    if isinstance(model, keras.Sequential):
        return [_stable_name(model.layers[-1])]
    return [_stable_name(producer(tensor)) for tensor in model.outputs]


def _stable_name(operation: Any) -> str:
    return default_name(operation.name, type(operation).__name__) or operation.name


def default_name(name: str, class_name: str) -> str:
    """The name that Keras gives an unnamed layer, without its number: `conv2d` of `conv2d_3`; "" for a given name.

    Keras counts over the whole process, so the number can change from run to run.
    """
    base, _, number = name.rpartition("_")
    candidates = (name, base if number.isdigit() else name)
    return next((candidate for candidate in candidates if candidate.replace("_", "") == class_name.lower()), "")


def unique_names(names: list[str]) -> list[str]:
    """Names that are valid in every format: ASCII letters, digits and _, a letter first; no two the same."""
    names = [re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names]
    names = [name if name[:1].isalpha() else f"tensor_{name.lstrip('_')}" for name in names]
    found: list[str] = []
    for i, name in enumerate(names):
        new = name if names.count(name) == 1 else f"{name}_{names[:i].count(name)}"
        while new in found or (new != name and new in names):
            new += "_"
        found.append(new)
    return found
