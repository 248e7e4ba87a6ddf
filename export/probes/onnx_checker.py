"""A program: `onnx_checker.py MODEL RESULT` checks an ONNX file, and infers the shapes of its tensors.

It runs in a process of its own, since a file from a stranger can end it (`sandbox.py`).
"""

import json
import sys
from pathlib import Path
from typing import Any


def probe(path: str) -> dict[str, Any]:
    import onnx

    try:
        onnx.checker.check_model(path)
        # Weights in other files are not needed for shapes.
        model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False), data_prop=True)
    except Exception as error:  # its exceptions have no common base but this
        return {"problem": str(error)}
    return {"tensors": {value.name: _described(value) for value in _values(model.graph)}}


def _values(graph: Any) -> list[Any]:
    found = [*graph.value_info, *graph.input, *graph.output]
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found += _values(inner)
    return found


def _described(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
    return {"dtype": tensor.elem_type, "shape": shape}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(probe(sys.argv[1])))
