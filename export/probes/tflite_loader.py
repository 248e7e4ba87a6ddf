"""A program: `tflite_loader.py MODEL RESULT` loads a TFLite file in LiteRT and describes its graphs as JSON.

It runs in its own process (`sandbox.py`), with a limit on its memory: a file from a stranger can crash LiteRT, and a
FlatBuffer can refer to the same long list a thousand times.
"""

import json
import sys
from pathlib import Path
from typing import Any

# The limit in bytes: for the runtime and intermediate tensors, and on top for each byte of the file.
MEMORY, MEMORY_PER_BYTE = 4 << 30, 8
# The beginnings of LiteRT's messages about a file that is not a whole TFLite file.
DAMAGED = ("Could not open", "Model provided", "The model is not a valid Flatbuffer", "Error reading model")
# The longest text of a metadata entry that is passed on.
LONGEST_TEXT = 1000
FLEX = "Flex"


def probe(path: str) -> dict[str, Any]:
    """The file's description, and the delegate's partitions or LiteRT's `problem`; or how the file is `damaged`."""
    loaded = _load(path)
    if loaded.get("problem", "").startswith(DAMAGED):
        return {"damaged": loaded["problem"]}
    try:
        return describe(Path(path).read_bytes()) | loaded
    except MemoryError:
        return {"damaged": "its lists do not fit into memory"}
    except Exception as error:  # FlatBuffers are read unchecked, and raise anything
        return {"damaged": f"{type(error).__name__}: {error}"}


def describe(content: bytes) -> dict[str, Any]:
    """The graphs, the names of the first signature by tensor, and the metadata of a TFLite file."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(content)
    if not model.subgraphs:
        raise ValueError("it has no graph")
    kinds = [_kind(flatbuffer_utils, model, index) for index in range(len(model.operatorCodes or []))]
    signature = next((one for one in model.signatureDefs or [] if one.subgraphIndex == 0), None)
    named = [] if signature is None else [*(signature.inputs or []), *(signature.outputs or [])]
    return {
        "graphs": [_graph(flatbuffer_utils, model, graph, kinds) for graph in model.subgraphs],
        "signature": [[entry.tensorIndex, _text(entry.name)] for entry in named],
        "metadata": _metadata(model),
    }


def _graph(utils: Any, model: Any, graph: Any, kinds: list[tuple[str, str]]) -> dict[str, Any]:
    tensors = [_tensor(utils, model, tensor) for tensor in graph.tensors or []]
    count, operations = len(tensors), []
    for operation in graph.operators or []:
        name, domain = kinds[operation.opcodeIndex]
        inputs = _indices(operation.inputs, count, -1)  # -1: left out
        outputs = _indices(operation.outputs, count)
        operations.append({"name": name, "domain": domain, "inputs": inputs, "outputs": outputs})
    inputs, outputs = _indices(graph.inputs, count), _indices(graph.outputs, count)
    return {"tensors": tensors, "operations": operations, "inputs": inputs, "outputs": outputs}


def _tensor(utils: Any, model: Any, tensor: Any) -> dict[str, Any]:
    quantization, data = tensor.quantization, model.buffers[tensor.buffer].data
    shape = _integers(tensor.shape)
    signature = _integers(tensor.shapeSignature) or shape
    if min((*shape, *signature), default=0) < -1:
        raise ValueError(f"a size of its tensor {_text(tensor.name)!r} is negative")
    return {
        "stored_name": _text(tensor.name),
        "type": utils.type_to_name(tensor.type),
        "shape": shape,
        "shape_signature": [None if size == -1 else size for size in signature],
        "constant": data is not None and len(data) > 0,
        "scales": [] if quantization is None else _listed(quantization.scale),
        "zero_points": [] if quantization is None else _integers(quantization.zeroPoint),
        "axis": 0 if quantization is None else quantization.quantizedDimension,
    }


def _kind(utils: Any, model: Any, index: int) -> tuple[str, str]:
    """The name of an operation, and its domain."""
    name = utils.opcode_to_name(model, index)
    if name is None:
        raise ValueError(f"its operation code {index} is not known")
    if name != "CUSTOM":
        return name, ""
    custom = _text(model.operatorCodes[index].customCode)
    return custom, FLEX if custom.startswith(FLEX) else "custom"


def _metadata(model: Any) -> dict[str, str]:
    entries = {_text(entry.name): model.buffers[entry.buffer].data for entry in model.metadata or []}
    description = {"description": _text(model.description)} if model.description else {}
    return description | {name: _readable(b"" if data is None else bytes(data)) for name, data in entries.items()}


def _readable(data: bytes) -> str:
    try:
        text = data.rstrip(b"\0").decode() if len(data) <= LONGEST_TEXT else ""
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and (text or not data) else f"{len(data)} bytes"


def _indices(values: Any, count: int, lowest: int = 0) -> list[int]:
    found = _integers(values)
    if found and (min(found) < lowest or max(found) >= count):
        raise ValueError(f"it refers to a tensor that is not among its {count}")
    return found


def _integers(values: Any) -> list[int]:
    return [int(value) for value in _listed(values)]


def _listed(values: Any) -> list[Any]:
    # Lists may be absent, lists, or arrays.
    return [] if values is None else values if isinstance(values, list) else values.tolist()


def _text(value: Any) -> str:
    return (value or b"").decode(errors="replace")


def _load(model: str) -> dict[str, Any]:
    """The partitions of LiteRT's delegate and the operations in them, or LiteRT's message against the file."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return {"problem": " ".join(str(error).split())}
    nodes = interpreter._get_ops_details()  # there is no public way to list the operations
    partitions = [node for node in nodes if node["op_name"] == "DELEGATE"]
    return {"partitions": len(partitions), "delegated": sorted(_delegated(nodes, partitions))}


def _delegated(nodes: list[Any], partitions: list[Any]) -> set[int]:
    """The indices of the operations that the delegate runs: those between its inputs and its outputs."""
    makers = {int(output): node for node in nodes if node["op_name"] != "DELEGATE" for output in node["outputs"]}
    found: set[int] = set()
    for partition in partitions:
        borders = {int(tensor) for tensor in partition["inputs"]}
        reached = [int(tensor) for tensor in partition["outputs"] if int(tensor) not in borders]
        while reached:
            node = makers.get(reached.pop())
            if node is not None and node["index"] not in found:
                found.add(int(node["index"]))
                reached += [int(tensor) for tensor in node["inputs"] if int(tensor) not in borders]
    return found


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # on Windows
        return
    wanted = MEMORY + MEMORY_PER_BYTE * size
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))


if __name__ == "__main__":
    _limit_memory(Path(sys.argv[1]).stat().st_size)
    Path(sys.argv[2]).write_text(json.dumps(probe(sys.argv[1])))
