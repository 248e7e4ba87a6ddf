"""Fair timing on a shared machine: what is compared takes turns in one process, and ratios are of medians."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_se.export import Benchmark, benchmark


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

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def compared(
    ours: Path, theirs: Path, *, threads: int, rounds: int, memory: bool = False
) -> tuple[Ratio, Benchmark, Benchmark]:
    """The latency of one file over that of another, in turn, batch 1."""
    first, second = benchmark([ours, theirs], threads=threads, rounds=rounds, memory=memory, profile=False)
    return Ratio.of(first.seconds, second.seconds), first, second


def cores() -> int:
    return os.cpu_count() or 1
