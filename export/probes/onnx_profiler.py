"""A program: `onnx_profiler.py JOB RESULT` times the operations of an ONNX file with ONNX Runtime's profiler.

JOB is the JSON document of `benchmark.py`, with one file. RESULT has the type and the seconds of each operation that
ran, for each `call`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from onnx_call import bound_call, open_session

# Their time is that of the operations in their subgraphs, which have their own events.
CONTROL_FLOW = ("If", "Loop", "Scan")


def profile(job: dict[str, Any]) -> dict[str, Any]:
    session = open_session(job["files"][0][0], job["threads"], profile="profile")
    call, _ = bound_call(session, job["batch_size"], job["size"])
    for _ in range(job["warm_up"] + job["rounds"]):
        call()
    calls: list[list[tuple[str, float]]] = [[]]
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event["name"] == "model_run":  # it follows the operations of the call
            calls.append([])
        elif event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            operation = event["args"]["op_name"]
            if operation not in CONTROL_FLOW:
                calls[-1].append((operation, event["dur"] / 1e6))
    return {"calls": calls[job["warm_up"] : -1]}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(profile(json.loads(Path(sys.argv[1]).read_text()))))
