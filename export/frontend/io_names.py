"""Names of inputs and outputs that every format takes, and that do not change from run to run."""

import keyword
import re
from typing import Any

import keras

from keras_se.graph.keras_private import producer


def _input_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.inputs):
        names = sorted(structure)
    else:
        # Keras numbers unnamed tensors over the whole process: such a name would change from run to run.
        unnamed = re.compile(r"keras_tensor(_\d+)?|input_layer(_\d+)?")
        names = ["input" if unnamed.fullmatch(tensor.name) else tensor.name for tensor in model.inputs]
    # Signatures are called with inputs by keyword.
    return _unique([f"{name}_" if keyword.iskeyword(name) or name == "self" else name for name in names])


def _output_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.outputs):
        return sorted(structure)
    if isinstance(model, keras.Sequential):
        return [_stable_name(model.layers[-1])]
    return [_stable_name(producer(tensor)) for tensor in model.outputs]


def _stable_name(operation: Any) -> str:
    """The name of a layer, without the number that Keras, which counts over the whole process, gives unnamed ones."""
    name, _, number = operation.name.rpartition("_")
    unnamed = number.isdigit() and name.replace("_", "") == type(operation).__name__.lower()
    return name if unnamed else operation.name


def _unique(names: list[str]) -> list[str]:
    """Names that every format takes: ASCII letters, digits and _, a letter first; no two the same."""
    names = [re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names]
    names = [name if name[:1].isalpha() else f"tensor_{name.lstrip('_')}" for name in names]
    found: list[str] = []
    for i, name in enumerate(names):
        new = name if names.count(name) == 1 else f"{name}_{names[:i].count(name)}"
        while new in found or (new != name and new in names):
            new += "_"
        found.append(new)
    return found
