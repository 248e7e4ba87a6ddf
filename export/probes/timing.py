"""Times calls in turn. Needs NumPy alone, since processes that measure runtimes import it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 30
# Slow calls get fewer rounds, but at least this many.
LEAST_ROUNDS = 5
SECONDS = 20.0
WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Seconds of a call: the median, the quartiles, and the 90th percentile."""

    median: float
    low: float
    high: float
    p90: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float] | np.ndarray) -> "Latency":
        """Summarizes the seconds of several runs."""
        median, low, high, p90 = (float(quantile) for quantile in np.quantile(seconds, (0.5, 0.25, 0.75, 0.9)))
        return cls(median, low, high, p90, len(seconds))

    @property
    def spread(self) -> float:
        """The interquartile range, in seconds."""
        return self.high - self.low

    def to_dict(self) -> dict[str, float | int]:
        """In milliseconds, for `--json`."""
        in_ms = {"median": self.median, "low": self.low, "high": self.high, "p90": self.p90, "spread": self.spread}
        return {f"{name}_ms": 1e3 * seconds for name, seconds in in_ms.items()} | {"runs": self.runs}


def latencies(calls: Sequence[Callable[[], object]], rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Latency]:
    """The latency of each call, timed in `turns`."""
    return [Latency.of(times) for times in turns(calls, rounds, seconds)] if calls else []


def turns(
    calls: Sequence[Callable[[], object]], rounds: int, seconds: float = math.inf, warm_up: int = WARM_UP
) -> np.ndarray:
    """The seconds of each call (row) in each round (column).

    A round runs every call once, so that other load on the machine affects all of them equally.

    Args:
        calls: The calls to time.
        rounds: The number of rounds.
        seconds: After this time no round begins, except for the first five.
        warm_up: Untimed rounds before them.
    """
    for call in list(calls) * warm_up:
        call()
    times: list[list[float]] = []
    begin = time.perf_counter()
    while len(times) < rounds and (len(times) < LEAST_ROUNDS or time.perf_counter() - begin < seconds):
        times.append([_timed(call) for call in calls])
    return np.asarray(times).reshape(len(times), len(calls)).T


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
