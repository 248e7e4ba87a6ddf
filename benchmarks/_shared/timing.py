"""Fair timing on a shared machine: what is compared takes turns, and a ratio is the median of those of the rounds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_se.export import Benchmark, benchmark

# Where a file lies in a process's memory, and which is the first, makes it slower or faster: both orders count alike.
PROCESSES = 4


class Ratio(NamedTuple):
    """The median of the rounds' own ratios, and between what the middle half of them lies.

    Each is of two calls one after the other: what makes a process, or a time, slower than another has no part in it.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of the seconds of two that took turns."""
        return cls(*(float(x) for x in np.quantile(np.divide(ours, theirs), (0.5, 0.25, 0.75))))

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
