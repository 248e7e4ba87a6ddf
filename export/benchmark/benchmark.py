"""Measures files in their runtimes: latency, memory, and the time of each kind of operation."""

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_se._text import shortened
from keras_se._validation import non_negative_integer, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.errors import require
from keras_se.export.formats import Format, format_of
from keras_se.export.probes.sandbox import PROBES, RefusedError, probe
from keras_se.export.probes.timing import Latency

ROUNDS, WARM_UP, SIZE = 50, 5, 224
# Seconds that a process may take: files can be slow.
TIMEOUT = 24 * 3600.0
# The profiler's time limit: this many times the slowest call for each call, and seconds on top.
PROFILED, PROFILER_TIMEOUT = 20, 600.0


@dataclass(frozen=True)
class OperationTime:
    """All operations of a kind, as the runtime runs them once it has fused some.

    Attributes:
        kind: The runtime's name for it.
        count: How many run in a call; an operation in a loop counts once for each iteration.
        seconds: Their total time in a call: the median over calls.
    """

    kind: str
    count: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "count": self.count, "ms": 1e3 * self.seconds}


@dataclass(frozen=True)
class Benchmark:
    """The measurements of a file on this machine.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: `"tflite"`, `"onnx"` or `"saved_model"`.
        size: Bytes.
        threads: The number of threads of its runtime.
        inputs: The shapes of the inputs by name, with the batch.
        seconds: The time of each call; the files of one `benchmark` take turns.
        memory: The bytes that loading and running the file add to a process with its runtime, at most; `None` if not
            measured.
        profile: The operations, slowest kind first; `None` without profiling.
        notes: Remarks on the figures, a sentence each.
    """

    path: Path
    format: str
    size: int
    threads: int
    inputs: Mapping[str, tuple[int, ...]]
    seconds: tuple[float, ...]
    memory: int | None = None
    profile: tuple[OperationTime, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def latency(self) -> Latency:
        return Latency.of(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "path": str(self.path),
            "format": self.format,
            "size": self.size,
            "threads": self.threads,
            "inputs": {name: list(shape) for name, shape in self.inputs.items()},
            "latency": self.latency.to_dict(),
            "memory": self.memory,
            "profile": None if self.profile is None else [each.to_dict() for each in self.profile],
            "notes": list(self.notes),
        }


def benchmark(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    threads: int | None = None,
    rounds: int = ROUNDS,
    warm_up: int = WARM_UP,
    batch_size: int = 1,
    size: int = SIZE,
    memory: bool = True,
    profile: bool = True,
) -> list[Benchmark]:
    """Runs files in their runtimes, and measures latency, memory, and the time of each kind of operation.

    The files take turns in one process, so that other load on the machine affects all of them equally: compare the
    medians of two files by their ratio. Inputs are random, of the types and shapes in the file, and set once; integers
    of more than 8 bits are 0 and 1, since they may be indices. Memory is measured in a process for each file.

    Example:

    >>> from keras_se.export import benchmark
    >>> small, large = benchmark(["se_mobilenet_int8.tflite", "se_mobilenet.onnx"], threads=2)  # doctest: +SKIP
    >>> small.latency.median / large.latency.median, small.memory  # doctest: +SKIP
    (0.42, 9510912)

    Args:
        files: A `.tflite` or `.onnx` file, or the folder of a SavedModel; or several of them.
        threads: The threads of each runtime; by default as many as the machine has cores.
        rounds: The timed calls of each file.
        warm_up: Untimed calls before them.
        batch_size: The batch size, for files without a fixed one.
        size: Every other size that a file does not fix.
        memory: Whether to measure memory.
        profile: Whether to profile TFLite and ONNX files with their runtimes' profilers, in further calls.

    Returns:
        A `Benchmark` for each file, in their order.

    Raises:
        ValueError: for a file of another format, a file that its runtime refuses, or another invalid argument.
        ImportError: if a runtime is not installed.
    """
    several = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(several, Sequence) or not all(isinstance(file, str | os.PathLike) for file in several):
        raise ValueError(f"files must be a path, or a list of paths. Received: files={files!r}")
    if not several:
        raise ValueError("files must name a file. Received: files=[]")
    paths = [Path(file) for file in several]
    formats = [_format(path) for path in paths]
    numbers = {"threads": os.cpu_count() or 1 if threads is None else threads, "rounds": rounds}
    numbers |= {"batch_size": batch_size, "size": size}
    job = {name: positive_integer(name, number) for name, number in numbers.items()}
    job["warm_up"] = non_negative_integer("warm_up", warm_up)
    for row in dict.fromkeys(formats):
        require(row.runtime_module, row.extra)
    pairs = [(str(path.absolute()), row) for path, row in zip(paths, formats, strict=True)]
    grown = [_work("memory", [pair], job)["bytes"] if memory else None for pair in pairs]
    times = _work("times", pairs, job)
    return [
        Benchmark(
            path,
            pair[1].name,
            Artifact(path, pair[1].name, None).size,
            job["threads"],
            {name: tuple(shape) for name, shape in inputs.items()},
            tuple(seconds),
            growth,
            *(_profile(pair, job, max(seconds)) if profile else (None, ())),
        )
        for path, pair, growth, seconds, inputs in zip(
            paths, pairs, grown, times["seconds"], times["inputs"], strict=True
        )
    ]


def _format(path: Path) -> Format:
    row = format_of(path)
    if row.call_program is None:
        raise ValueError(
            f"Files of the format {row.name} run on other machines. FILE must be of another format. "
            f"Received: {str(path)!r}"
        )
    return row


# A file's absolute path, and its format.
Pair = tuple[str, Format]


def _work(work: str, pairs: Sequence[Pair], job: Mapping[str, Any]) -> dict[str, Any]:
    """The result of `probes/benchmark.py`. Raises a `ValueError` that names the file if a runtime refuses it."""
    files = [(path, str(PROBES / (row.call_program or ""))) for path, row in pairs]
    try:
        found = _probed("benchmark.py", {**job, "work": work, "files": files})
    except RefusedError as refusal:
        found = {"refused": pairs[0][0], "problem": str(refusal)}
    if "missing" in found:
        raise ImportError(found["missing"])
    if "refused" in found:
        path, problem = found["refused"], shortened(" ".join(found["problem"].split()))
        raise ValueError(f"FILE must run in {dict(pairs)[path].runtime}. Received: {path!r} ({problem})")
    return found


def _profile(
    pair: Pair, job: Mapping[str, Any], slowest: float
) -> tuple[tuple[OperationTime, ...] | None, tuple[str, ...]]:
    """The operations of a file by kind, and notes."""
    path, row = pair
    if row.profiler is None:
        return None, ()
    timeout = PROFILER_TIMEOUT + PROFILED * slowest * (job["warm_up"] + job["rounds"])
    try:
        found = _probed(str(row.profiler), {**job, "files": [(path, row.name)]}, timeout)
    except RefusedError as refusal:
        found = {"problem": str(refusal)}
    if "calls" not in found:
        return None, (f"{Path(path).name} has no profile: {row.runtime}'s profiler {found['problem']}.",)
    # The seconds of the operations of each kind, call by call.
    by_kind: dict[str, list[list[float]]] = defaultdict(list)
    for call in found["calls"]:
        for kind in dict.fromkeys(kind for kind, _ in call):
            by_kind[kind].append([seconds for other, seconds in call if other == kind])
    operations = [
        OperationTime(kind, len(calls[0]), float(np.median([sum(call) for call in calls])))
        for kind, calls in by_kind.items()
    ]
    return tuple(sorted(operations, key=lambda each: -each.seconds)), ()


def _probed(program: str, job: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        return probe(program, path, timeout)
