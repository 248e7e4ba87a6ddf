"""What files cost where they run: latency, memory, and where the time goes."""

import collections
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_se._validation import non_negative_integer, positive_integer
from keras_se.export.artifact import Artifact
from keras_se.export.errors import require
from keras_se.export.formats import Format, format_of
from keras_se.export.probes.sandbox import PROBES, RefusedError, probe
from keras_se.export.probes.timing import Latency

ROUNDS, WARM_UP, SIZE = 50, 5, 224
# Seconds that a process may take: files can be slow.
TIMEOUT = 24 * 3600.0
# What profiling may take: as many times the slowest call, and seconds beside.
PROFILED, PROFILER_TIMEOUT = 20, 600.0


@dataclass(frozen=True)
class OperationTime:
    """All operations of a kind, as the runtime calls it after it has fused what it can.

    Attributes:
        kind: The runtime's name for it.
        count: How many of them run in a call: in a loop, one does several times.
        seconds: What they take together in a call: the median of the calls.
    """

    kind: str
    count: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "count": self.count, "ms": 1e3 * self.seconds}


@dataclass(frozen=True)
class Benchmark:
    """What a file costs on this machine.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: `"tflite"`, `"onnx"` or `"saved_model"`.
        size: Its bytes.
        threads: How many its runtime had.
        inputs: Shapes by name, as it was called with, batch included.
        seconds: How long each call took; those of files in one `benchmark` took turns.
        memory: By how many bytes a process with the runtime grows at most, while it loads the file and runs it; or
            `None` if that was not asked for.
        profile: The operations, the slowest kind first; or `None` where there is no profile.
        notes: What to know of the figures, a sentence each.
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
    """Runs files in their own runtimes, and tells what that costs.

    The files take turns in one process, so that what else the machine does meets all alike: compare them by the ratio
    of their medians. Inputs are random, of the types and shapes that the file has, and set once; integers of more than
    8 bits are 0 and 1, as they may be places in a table. Memory is measured in a process for each file.

    Example:

    >>> from keras_se.export import benchmark
    >>> small, large = benchmark(["se_mobilenet_int8.tflite", "se_mobilenet.onnx"], threads=2)  # doctest: +SKIP
    >>> small.latency.median / large.latency.median, small.memory  # doctest: +SKIP
    (0.42, 9510912)

    Args:
        files: A `.tflite` or `.onnx` file, or the folder of a SavedModel; or several of them.
        threads: How many threads each runtime has: by default as many as the machine has cores.
        rounds: How many calls of each file are timed.
        warm_up: How many calls before that are not.
        batch_size: Samples in a call, of a file that leaves that open.
        size: What other sizes are that a file leaves open.
        memory: Whether to measure memory.
        profile: Whether to profile TFLite and ONNX files, by their runtimes' own profilers, in further calls.

    Returns:
        A `Benchmark` for each file, in their order.

    Raises:
        ValueError: for a file that is of none of these formats, or that its runtime refuses; or another argument.
        ImportError: if a runtime is not installed.
    """
    several = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(several, Sequence) or not all(isinstance(file, str | os.PathLike) for file in several):
        raise ValueError(f"files must be a path, or a list of paths. Received: files={files!r}")
    paths = [Path(file) for file in several]
    if not paths:
        raise ValueError("files must name a file. Received: files=[]")
    formats = [_format(path) for path in paths]
    options = {"threads": os.cpu_count() or 1 if threads is None else threads, "rounds": rounds}
    options |= {"batch_size": batch_size, "size": size}
    for name, value in options.items():
        positive_integer(name, value)
    job = {**options, "warm_up": non_negative_integer("warm_up", warm_up)}
    for row in dict.fromkeys(formats):
        require(row.runtime_module, row.extra)
    pairs = [(str(path.absolute()), row) for path, row in zip(paths, formats, strict=True)]
    grown = [_work("memory", [pair], job)["bytes"] if memory else None for pair in pairs]
    times = _work("times", pairs, job)
    slowest = [max(seconds) for seconds in times["seconds"]]
    profiles = [
        _profile(pair, job, seconds) if profile else (None, ()) for pair, seconds in zip(pairs, slowest, strict=True)
    ]
    return [
        Benchmark(
            path,
            row.name,
            Artifact(path, row.name, None).size,
            options["threads"],
            {key: tuple(shape) for key, shape in times["inputs"][i].items()},
            tuple(times["seconds"][i]),
            grown[i],
            *profiles[i],
        )
        for i, (path, row) in enumerate(zip(paths, formats, strict=True))
    ]


def _format(path: Path) -> Format:
    row = format_of(path)
    if row.call_program is None:
        raise ValueError(
            f"Files of the format {row.name} run on other machines. FILE must be of another format. "
            f"Received: {str(path)!r}"
        )
    return row


Pair = tuple[str, Format]


def _work(work: str, pairs: Sequence[Pair], job: Mapping[str, Any]) -> dict[str, Any]:
    """What `probes/benchmark.py` finds, or a `ValueError` that names the file."""
    try:
        files = [(path, str(PROBES / (row.call_program or ""))) for path, row in pairs]
        found = _probed("benchmark.py", {**job, "work": work, "files": files})
    except RefusedError as refusal:
        raise _refused(pairs[0], str(refusal)) from None
    if "missing" in found:
        raise ImportError(found["missing"])
    if "refused" in found:
        raise _refused(next(pair for pair in pairs if pair[0] == found["refused"]), found["problem"])
    return found


def _refused(pair: Pair, problem: str) -> ValueError:
    path, row = pair
    sentence = " ".join(problem.split())[:300]
    return ValueError(f"FILE must run in {row.runtime}. Received: {path!r} ({sentence})")


def _profile(
    pair: Pair, job: Mapping[str, Any], slowest: float
) -> tuple[tuple[OperationTime, ...] | None, tuple[str, ...]]:
    """The operations of a file by kind, and notes."""
    path, row = pair
    timeout = PROFILER_TIMEOUT + PROFILED * slowest * (job["warm_up"] + job["rounds"])
    if row.profiler is None:
        return None, ()
    try:
        found = _probed(str(row.profiler), {**job, "files": [(path, row.name)]}, timeout)
    except RefusedError as refusal:
        found = {"problem": str(refusal)}
    if "calls" not in found:
        return None, (f"{Path(path).name} has no profile: {row.runtime}'s profiler {found['problem']}.",)
    totals: dict[str, list[list[float]]] = {}
    for call in found["calls"]:
        each: dict[str, list[float]] = collections.defaultdict(list)
        for kind, seconds in call:
            each[kind].append(seconds)
        for kind, seconds_of in each.items():
            totals.setdefault(kind, []).append(seconds_of)
    operations = [
        OperationTime(kind, len(calls[0]), float(np.median([sum(call) for call in calls])))
        for kind, calls in totals.items()
    ]
    return tuple(sorted(operations, key=lambda each: -each.seconds)), ()


def _probed(program: str, job: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        return probe(program, path, timeout)
