"""How long calls take, in turn, on this machine.

It needs NumPy alone: processes that measure runtimes import it, too.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 30
# Slow files get fewer rounds, but never fewer than this.
LEAST_ROUNDS = 5
SECONDS = 20.0
WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """Seconds of a call: the median, and what a quarter, three quarters and nine tenths of the runs stayed below."""

    median: float
    low: float
    high: float
    p90: float
    runs: int

    @classmethod
    def of(cls, seconds: Sequence[float] | np.ndarray) -> "Latency":
        """Of the times of a call."""
        median, low, high, p90 = (float(quantile) for quantile in np.quantile(seconds, (0.5, 0.25, 0.75, 0.9)))
        return cls(median, low, high, p90, len(seconds))

    @property
    def spread(self) -> float:
        """The middle half of the runs, from its low to its high end, in seconds."""
        return self.high - self.low

    def to_dict(self) -> dict[str, float | int]:
        """In milliseconds, for `--json`."""
        in_ms = {"median": self.median, "low": self.low, "high": self.high, "p90": self.p90, "spread": self.spread}
        return {f"{name}_ms": 1e3 * seconds for name, seconds in in_ms.items()} | {"runs": self.runs}


def latencies(calls: Sequence[Callable[[], object]], rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Latency]:
    """The latency of each call. They take turns, so that what else the machine does meets all alike.

    Args:
        calls: What to time.
        rounds: How often each is called, after two calls that do not count.
        seconds: After this long no new round begins, once there have been five.
    """
    return [Latency.of(times) for times in turns(calls, rounds, seconds)] if calls else []


def turns(
    calls: Sequence[Callable[[], object]], rounds: int, seconds: float = math.inf, warm_up: int = WARM_UP
) -> np.ndarray:
    """The seconds of each call (a row) in each round (a column). In a round every call has its turn.

    Args:
        calls: What to time.
        rounds: How many rounds.
        seconds: After this long no new round begins, once there have been five.
        warm_up: Rounds before these, which are not timed.
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
