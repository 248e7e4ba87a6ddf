"""A program: `tflite_loader.py MODEL RESULT` loads a TFLite file and lists what its delegate runs.

It runs in a process of its own, since a file from a stranger can end it (`sandbox.py`).
"""

import json
import sys
from pathlib import Path
from typing import Any


def probe(model: str) -> dict[str, Any]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=model, num_threads=1)
    except (RuntimeError, ValueError) as error:
        return {"stage": "load", "problem": str(error)}
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return {"stage": "allocate", "problem": str(error)}
    nodes = interpreter._get_ops_details()  # there is no public way to list the operations
    partitions = [node for node in nodes if node["op_name"] == "DELEGATE"]
    return {"stage": "ready", "partitions": len(partitions), "inside": sorted(_inside(nodes, partitions))}


def _inside(nodes: list[Any], partitions: list[Any]) -> set[int]:
    """The indices of the operations that the delegate runs: those between its inputs and its outputs."""
    makers = {int(output): node for node in nodes if node["op_name"] != "DELEGATE" for output in node["outputs"]}
    inside: set[int] = set()
    for partition in partitions:
        borders = {int(tensor) for tensor in partition["inputs"]}
        reached = [int(tensor) for tensor in partition["outputs"] if int(tensor) not in borders]
        while reached:
            node = makers.get(reached.pop())
            if node is not None and node["index"] not in inside:
                inside.add(int(node["index"]))
                reached += [int(tensor) for tensor in node["inputs"] if int(tensor) not in borders]
    return inside


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(probe(sys.argv[1])))
