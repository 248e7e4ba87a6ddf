"""Fair timing on a shared machine: files alternate, and a ratio is the median of the ratios of the rounds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_se.export import Benchmark, benchmark

# The place in memory and the order make a file slower or faster, so both orders count alike.
PROCESSES = 4


class Ratio(NamedTuple):
    """The median of the ratios of the rounds, and the limits of their middle half.

    Each ratio is of two successive calls, so a slower process or moment does not affect it.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """From the seconds of two files that alternated."""
        return cls(*(float(x) for x in np.quantile(np.divide(ours, theirs), (0.5, 0.25, 0.75))))

    def fields(self) -> dict[str, float]:
        """The entries of a row."""
        return {"ratio": self.value, "low": self.low, "high": self.high}

    @classmethod
    def shown(cls, row: Mapping[str, Any]) -> str:
        """The text of a row with these entries."""
        return f"{row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def compared(
    ours: Path, theirs: Path, *, threads: int, rounds: int, memory: bool = False
) -> tuple[Ratio, Benchmark, Benchmark]:
    """The latency of one file over that of another, batch 1. They alternate, in processes that share the rounds."""
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
