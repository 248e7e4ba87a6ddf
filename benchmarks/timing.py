"""Fair timing on a shared machine: what is compared takes turns in one process, and ratios are of medians."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    """The latency of one file over that of another, in turn, batch 1."""
    first, second = benchmark([ours, theirs], threads=threads, rounds=rounds, memory=memory, profile=False)
    return Ratio.of(first.seconds, second.seconds), first, second


def cores() -> int:
    return os.cpu_count() or 1
