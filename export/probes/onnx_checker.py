"""A program: `onnx_checker.py MODEL RESULT` checks an ONNX file, and infers the shapes of its tensors.

It runs in its own process (`sandbox.py`), since a hostile file can crash it.
"""

import json
import sys
from pathlib import Path
from typing import Any


def probe(path: str) -> dict[str, Any]:
    import onnx

    try:
        onnx.checker.check_model(path)
        # Shape inference does not need weights in other files.
        model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False), data_prop=True)
    except Exception as error:  # its exceptions have no other common base
        return {"problem": str(error)}
    return {"tensors": {value.name: _described(value) for value in _values(model.graph)}}


def _values(graph: Any) -> list[Any]:
    found = [*graph.value_info, *graph.input, *graph.output]
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                found += _values(subgraph)
    return found


def _described(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
    return {"dtype": tensor.elem_type, "shape": shape}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(probe(sys.argv[1])))
