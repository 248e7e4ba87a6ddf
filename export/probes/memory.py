"""Measures how much memory this process needs. Imports would count, so it has few."""

import contextlib
import sys
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def from_here() -> int:
    """Starts a measurement, and returns the memory of the process in bytes."""
    if not STATUS.exists():
        return _highest()
    with contextlib.suppress(OSError):  # where that is forbidden, the peak is that of the whole process
        RESET.write_text("5")
    return _field("VmRSS")


def growth(since: int) -> int:
    """The bytes by which the peak exceeds `since`, the result of `from_here`."""
    peak = _field("VmHWM") if STATUS.exists() else _highest()
    return max(peak - since, 0)


def _field(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _highest() -> int:
    """The peak on systems without /proc."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
