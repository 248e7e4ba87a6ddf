"""Stores the document of an ONNX file in an entry of its `metadata_props`."""

from pathlib import Path
from typing import Any

from keras_se.export.errors import require
from keras_se.export.metadata import KEY


def tensors(path: Path) -> dict[str, Any]:
    onnx = require("onnx", "onnx")
    graph = onnx.load(str(path), load_external_data=False).graph
    return {"inputs": [_facts(onnx, x) for x in graph.input], "outputs": [_facts(onnx, x) for x in graph.output]}


def _facts(onnx: Any, value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    shape = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return {"name": value.name, "shape": shape, "dtype": dtype}


def embed(path: Path, document: bytes) -> None:
    """Appends the document: protobuf messages in sequence are one message, with the lists of both."""
    more = require("onnx", "onnx").ModelProto()
    more.metadata_props.add(key=KEY, value=document.decode())
    with open(path, "ab") as file:
        file.write(more.SerializeToString())


def embedded(path: Path) -> bytes | None:
    onnx = require("onnx", "onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception:  # protobuf's errors differ between its versions
        return None
    return next((entry.value.encode() for entry in model.metadata_props if entry.key == KEY), None)
