"""A program: `benchmark.py JOB RESULT` runs files in their runtimes, and measures them.

JOB is a JSON document with the `work` (a function of `WORK`), the `files` (path and format of each) and its options.
The process is apart because a file from a stranger can end it, and because nothing else may have a share in its memory.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def _beside(name: str) -> Any:
    """A module of this folder by itself: the package would bring Keras."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


timing, memory, runtimes = _beside("timing"), _beside("memory"), _beside("runtimes")


class RefusedError(Exception):
    """A runtime raised something at a file."""


def times(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each file in each round, in turn, and the shapes of their inputs."""
    files = [_opened(pair, job) for pair in job["files"]]
    found = timing.turns([file.call for file in files], job["rounds"], warm_up=job["warm_up"])
    return {"seconds": found.tolist(), "inputs": [dict(file.inputs) for file in files]}


def peak_memory(job: dict[str, Any]) -> dict[str, Any]:
    """Bytes that loading a file and running it three times takes, beside those of the runtime itself."""
    (pair,) = job["files"]
    importlib.import_module(RUNTIMES[pair[1]])
    before = memory.from_here()
    file = _opened(pair, job)
    for _ in range(3):
        file.call()
    return {"bytes": memory.growth(before)}


def onnx_profile(job: dict[str, Any]) -> dict[str, Any]:
    """Kind and seconds of each operation, in each call, by ONNX Runtime's profiler."""
    ((path, _),) = job["files"]
    session = runtimes.onnx_session(path, job["threads"], profile="profile")
    file = runtimes.onnx_call(session, (job["batch_size"], job["size"]))
    for _ in range(job["warm_up"] + job["rounds"]):
        file.call()
    calls: list[list[tuple[str, float]]] = [[]]
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event["name"] == "model_run":  # it comes after the operations of the call
            calls.append([])
        elif event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            if kind not in CONTROL_FLOW:
                calls[-1].append((kind, event["dur"] / 1e6))
    return {"calls": calls[job["warm_up"] : -1]}


# Their time is that of the operations inside of them, which are events of their own.
CONTROL_FLOW = ("If", "Loop", "Scan")
RUNTIMES = {"tflite": "ai_edge_litert.interpreter", "onnx": "onnxruntime", "saved_model": "tensorflow"}
WORK = {"times": times, "memory": peak_memory, "onnx_profile": onnx_profile}


def _opened(pair: tuple[str, str], job: dict[str, Any]) -> Any:
    """The file of a path and a format, after a call that shows that it runs."""
    try:
        file = runtimes.opened(*pair, job["threads"], job["batch_size"], job["size"])
        file.call()
    except Exception as error:  # runtimes raise anything
        raise RefusedError(pair[0], str(error) or type(error).__name__) from error
    return file


def main(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return WORK[job["work"]](job)
    except ImportError as error:
        return {"missing": str(error)}
    except RefusedError as error:
        path, problem = error.args
        return {"refused": path, "problem": problem}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
