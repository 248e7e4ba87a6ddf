"""A program: `benchmark.py JOB RESULT` runs files in their runtimes, and measures time or memory.

JOB is a JSON document with options, the `work` ("times" or "memory"), and the `files`: for each its path and that of
the program that opens it. Such a program defines `RUNTIME`, the module to import, and `open_call(path, threads,
batch_size, size)`, which returns a call that runs the file, and the shapes of its inputs by name.

It runs in its own process: a file from a stranger can crash it, and other work would count as its memory.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import memory
import timing


class RefusedError(Exception):
    """A runtime raised an exception for a file."""


def times(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each file in each round, in turn, and the shapes of their inputs."""
    calls, inputs = zip(*(_open(path, _loaded(program), job) for path, program in job["files"]), strict=True)
    return {"seconds": timing.turns(calls, job["rounds"], warm_up=job["warm_up"]).tolist(), "inputs": inputs}


def peak_memory(job: dict[str, Any]) -> dict[str, Any]:
    """Bytes needed to load a file and to run it three times, on top of the runtime itself."""
    ((path, program),) = job["files"]
    opener = _loaded(program)
    importlib.import_module(opener.RUNTIME)
    before = memory.from_here()
    call, _ = _open(path, opener, job)
    for _ in range(3):
        call()
    return {"bytes": memory.growth(before)}


WORK = {"times": times, "memory": peak_memory}


def _loaded(program: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(program).stem, program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _open(path: str, opener: Any, job: dict[str, Any]) -> Any:
    """The call and the input shapes of a file, after a first call that shows that it runs."""
    try:
        call, inputs = opener.open_call(path, job["threads"], job["batch_size"], job["size"])
        call()
    except Exception as error:  # runtimes raise anything
        raise RefusedError(path, str(error) or type(error).__name__) from error
    return call, inputs


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
