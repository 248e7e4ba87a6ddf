"""SavedModels whose bytes do not tell what their process did before, nor are drawn at random."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from keras_se.export.errors import require

# TensorFlow numbers functions over the whole process: __inference_serve_2729.
FUNCTION = re.compile(r"(__inference_.+_)(\d+)")
ASKED_FOR = "_user_specified_name"


def normalise(folder: Path) -> None:
    """Numbers the functions of a SavedModel from 0 on, sorts them, and makes its identifier one of its contents."""
    protos = require("tensorflow.core.protobuf.saved_model_pb2", "tensorflow")
    file = folder / "saved_model.pb"
    model = protos.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        library = graph.graph_def.library.function
        numbered = sorted(
            (match for function in library if (match := FUNCTION.fullmatch(function.signature.name))),
            key=lambda match: int(match[2]),
        )
        _rename(graph, {match[0]: f"{match[1]}{i}" for i, match in enumerate(numbered)})
        for function in library:
            for argument in function.arg_attr.values():
                if (
                    ASKED_FOR in argument.attr and argument.attr[ASKED_FOR].s.isdigit()
                ):  # by nobody: it is the number of a variable
                    del argument.attr[ASKED_FOR]
        library.sort(key=lambda function: function.signature.name)
    file.write_bytes(model.SerializeToString(deterministic=True))
    _identify(folder)


def _rename(message: Any, names: Mapping[str, str]) -> None:
    for field, value in message.ListFields():
        entry = field.message_type.GetOptions().map_entry if field.message_type else False
        if entry:
            _rename_map(value, names)
        elif field.type == field.TYPE_MESSAGE:
            for inner in value if isinstance(value, Sequence) else [value]:
                _rename(inner, names)
        elif field.type == field.TYPE_STRING and not isinstance(value, str):
            value[:] = [names.get(text, text) for text in value]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, names.get(value, value))


def _rename_map(entries: Any, names: Mapping[str, str]) -> None:
    for key in list(entries):
        if isinstance(entries[key], str):
            entries[key] = names.get(entries[key], entries[key])
        elif hasattr(entries[key], "ListFields"):
            _rename(entries[key], names)
    # Out first, then in again: a new name can be the old one of another.
    renamed = {key: deepcopy(entries[key]) for key in list(entries) if key in names}
    for key in renamed:
        del entries[key]
    for key, value in renamed.items():
        entries[names[key]].CopyFrom(value)


def _identify(folder: Path) -> None:
    """Writes the fingerprint anew, with an identifier that is made of the rest of it."""
    fingerprints = require("tensorflow.core.protobuf.fingerprint_pb2", "tensorflow")
    wrapped = require("tensorflow.python.saved_model.pywrap_saved_model.fingerprinting", "tensorflow")
    found = fingerprints.FingerprintDef.FromString(wrapped.CreateFingerprintDef(str(folder)))
    found.uuid = str(found.saved_model_checksum ^ found.checkpoint_hash)
    (folder / "fingerprint.pb").write_bytes(found.SerializeToString(deterministic=True))
