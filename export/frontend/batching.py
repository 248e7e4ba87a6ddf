"""Samples in batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np

BATCH = 32


def in_batches(feeds: Mapping[str, np.ndarray], run: Any, size: int | None) -> dict[str, np.ndarray]:
    """Runs any number of samples in batches; a fixed `size` is filled up with the last sample."""
    count = len(next(iter(feeds.values())))
    parts = []
    for start in range(0, count, size or BATCH):
        batch = {name: column[start : start + (size or BATCH)] for name, column in feeds.items()}
        rows = len(next(iter(batch.values())))
        if size is not None and rows < size:
            batch = {
                name: np.concatenate([column, np.repeat(column[-1:], size - rows, axis=0)])
                for name, column in batch.items()
            }
        parts.append({name: output[:rows] for name, output in run(batch).items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
