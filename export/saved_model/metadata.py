"""Stores the document of a SavedModel in a file in `assets.extra`, which the format reserves for other tools."""

import json
from pathlib import Path
from typing import Any

from keras_se.export.metadata import content
from keras_se.export.saved_model.inspect import dtype_name, sizes
from keras_se.export.saved_model.runner import SIGNATURE

PREFIX = "serving_"
FILE = Path("assets.extra") / "keras_se.json"


def tensors(path: Path) -> dict[str, Any]:
    """The inputs and outputs of a file."""
    from tensorflow.core.protobuf import saved_model_pb2

    stored = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signatures = stored.meta_graphs[0].signature_def

    def facts(infos: Any) -> list[dict[str, Any]]:
        return [
            {"name": name, "shape": sizes(info.tensor_shape), "dtype": dtype_name(info.dtype)}
            for name, info in sorted(infos.items())
        ]

    more = [name for name in sorted(signatures) if name.startswith(PREFIX) and name != SIGNATURE]
    return {
        "inputs": facts(signatures[SIGNATURE].inputs),
        "outputs": facts(signatures[SIGNATURE].outputs),
        "signatures": {name: facts(signatures[name].inputs) for name in more},
    }


def embed(path: Path, document: bytes) -> None:
    file = path / FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(json.loads(document), indent=2) + "\n", encoding="utf-8")


def embedded(path: Path) -> bytes | None:
    return content(path / FILE)
