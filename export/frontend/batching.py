"""Samples in batches."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

Feeds = Mapping[str, np.ndarray]
BATCH = 32


def batches(feeds: Feeds, size: int, *, fill: bool = True) -> Iterator[dict[str, np.ndarray]]:
    """The samples in batches.

    Args:
        feeds: Arrays by name, samples first.
        size: Samples in a batch.
        fill: Whether the last batch is filled up from the first samples; otherwise it is smaller.
    """
    count = len(next(iter(feeds.values())))
    for start in range(0, count, size):
        rows = np.arange(start, start + size if fill else min(start + size, count)) % count
        yield {name: column[rows] for name, column in feeds.items()}


def run_in_batches(
    feeds: Feeds,
    run: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    size: int | None = None,
    largest: int = BATCH,
) -> dict[str, np.ndarray]:
    """Runs any number of samples, in batches of a fixed size, or of up to `largest` where the size is `None`."""
    parts = [run(batch) for batch in batches(feeds, size or largest, fill=size is not None)]
    count = len(next(iter(feeds.values())))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
