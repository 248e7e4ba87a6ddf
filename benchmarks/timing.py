"""Fair timing on a shared machine: candidates take turns in one process, and ratios are of medians."""

import time
from collections.abc import Callable, Mapping

import numpy as np


def medians(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 3) -> dict[str, float]:
    """The median time of each candidate in seconds; each round calls every candidate once, in turn."""
    for _ in range(warm_up):
        for candidate in candidates.values():
            candidate()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            candidate()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}
