"""Makes SavedModels reproducible: the same export has the same bytes in every process."""

import re
from collections.abc import Mapping, MutableMapping, MutableSequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from keras_se.export.errors import require

# TensorFlow numbers functions over the whole process: __inference_serve_2729.
FUNCTION = re.compile(r"(__inference_.+_)(\d+)")
ARGUMENT_NAME = "_user_specified_name"


def canonicalize(folder: Path) -> None:
    """Numbers the functions of a SavedModel from 0 on, sorts them by name, and removes random identifiers."""
    protos = require("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")
    file = folder / "saved_model.pb"
    model = protos.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        functions = graph.graph_def.library.function
        matches = (FUNCTION.fullmatch(function.signature.name) for function in functions)
        numbered = sorted(filter(None, matches), key=lambda match: int(match[2]))
        rename_strings(graph, {match[0]: f"{match[1]}{i}" for i, match in enumerate(numbered)})
        for function in functions:
            for argument in function.arg_attr.values():
                # For a captured variable, this is its number in the process.
                if ARGUMENT_NAME in argument.attr and argument.attr[ARGUMENT_NAME].s.isdigit():
                    del argument.attr[ARGUMENT_NAME]
        functions.sort(key=lambda function: function.signature.name)
    file.write_bytes(model.SerializeToString(deterministic=True))
    # It has a random identifier and checksums of the original file. TensorFlow loads a SavedModel without it.
    (folder / "fingerprint.pb").unlink()


def rename_strings(value: Any, names: Mapping[str, str]) -> None:
    """Replaces strings everywhere in a protobuf message, including keys of maps."""
    if isinstance(value, MutableMapping):
        if names.keys() & set(value):
            _rename_keys(value, names)
        parts = [(key, value[key]) for key in value]
    elif isinstance(value, MutableSequence):
        parts = list(enumerate(value))
    else:
        parts = [(field.name, part) for field, part in value.ListFields()]
    for place, part in parts:
        if not isinstance(part, str):
            if hasattr(part, "ListFields") or isinstance(part, MutableMapping | MutableSequence):
                rename_strings(part, names)
        elif part in names:
            if isinstance(value, MutableMapping | MutableSequence):
                value[place] = names[part]
            else:
                setattr(value, place, names[part])


def _rename_keys(entries: MutableMapping, names: Mapping[str, str]) -> None:
    # All are removed before any is added: a new name can be the old name of another entry.
    moved = {names[key]: deepcopy(entries.pop(key)) for key in list(entries) if key in names}
    for key, entry in moved.items():
        if isinstance(entry, str):
            entries[key] = entry
        else:
            entries[key].CopyFrom(entry)
