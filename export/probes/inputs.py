"""Random inputs for files that are measured. Needs NumPy alone, since the memory of its process is measured."""

from collections.abc import Sequence

import numpy as np


def random_values(shape: Sequence[int], dtype: str) -> np.ndarray:
    """Random numbers: normal floats, 8-bit integers of the whole range, or 0 and 1 for wider integers.

    Wider integers may be indices into a table of any size.
    """
    rng = np.random.default_rng(0)
    numbers = np.dtype(dtype)
    if numbers.kind in "iu":
        limits = np.iinfo(numbers)
        low, high = (limits.min, limits.max) if numbers.itemsize == 1 else (0, 1)
        return rng.integers(low, high, shape, dtype=numbers, endpoint=True)
    return rng.standard_normal(shape).astype(numbers)


def fixed_shape(shape: Sequence[int | None], batch_size: int, size: int) -> tuple[int, ...]:
    """A shape with `batch_size` for an unknown first axis, and `size` for every other unknown one."""
    return tuple(
        (batch_size if axis == 0 else size) if known is None else int(known) for axis, known in enumerate(shape)
    )
