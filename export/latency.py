"""How long calls take, in turn, on this machine."""

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
    """Seconds of a call: the median, and what a quarter and three quarters of the runs stayed below."""

    median: float
    low: float
    high: float
    runs: int


def latencies(calls: Sequence[Callable[[], object]], rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Latency]:
    """The latency of each call. They take turns, so that what else the machine does meets all alike.

    Args:
        calls: What to time.
        rounds: How often each is called, after two calls that do not count.
        seconds: After this long no new round begins, once there have been five.
    """
    for call in list(calls) * WARM_UP:
        call()
    times: list[list[float]] = []
    begin = time.perf_counter()
    while len(times) < rounds and (len(times) < LEAST_ROUNDS or time.perf_counter() - begin < seconds):
        times.append([_timed(call) for call in calls])
    columns = np.asarray(times).reshape(len(times), len(calls)).T
    return [_of(column) for column in columns]


def _of(seconds: np.ndarray) -> Latency:
    median, low, high = (float(quantile) for quantile in np.quantile(seconds, (0.5, 0.25, 0.75)))
    return Latency(median, low, high, len(seconds))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
