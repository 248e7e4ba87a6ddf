"""Fair timing on a shared machine: what is compared takes turns in one process, and ratios are of medians."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_se.export import Benchmark, benchmark

# A file beside a copy of itself is up to 1.5 % slower or faster, by where they lie in a process's memory and which is
# the first: both orders count alike.
PROCESSES = 4


class Ratio(NamedTuple):
    """Of two medians, and between what the middle half of the rounds lies, each round's ratio by itself."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of the seconds of two that took turns."""
        low, high = np.quantile(np.divide(ours, theirs), (0.25, 0.75))
        return cls(float(np.median(ours) / np.median(theirs)), float(low), float(high))

    def fields(self) -> dict[str, float]:
        """As they stand in a row."""
        return {"ratio": self.value, "low": self.low, "high": self.high}

    @classmethod
    def shown(cls, row: Mapping[str, Any]) -> str:
        """Of a row with these fields."""
        return f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def compared(
    ours: Path, theirs: Path, *, threads: int, rounds: int, memory: bool = False
) -> tuple[Ratio, Benchmark, Benchmark]:
    """The latency of one file over that of another, batch 1: in turn, in several processes that share the rounds."""
    runs: list[list[Benchmark]] = []
    for number in range(min(PROCESSES, rounds)):
        order = slice(None, None, 1 if number % 2 == 0 else -1)
        share = len(range(number, rounds, PROCESSES))
        measure_memory = memory and not runs
        found = benchmark([ours, theirs][order], threads=threads, rounds=share, memory=measure_memory, profile=False)
        runs.append(found[order])
    first, second = (
        replace(own[0], seconds=tuple(time for one in own for time in one.seconds)) for own in zip(*runs, strict=True)
    )
    return Ratio.of(first.seconds, second.seconds), first, second


def cores() -> int:
    return os.cpu_count() or 1
