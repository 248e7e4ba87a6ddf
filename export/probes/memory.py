"""How much memory this process comes to need. It imports nothing else of this package, which would need some itself."""

import contextlib
import sys
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def from_here() -> int:
    """Begins to measure: the memory of the process now, in bytes."""
    if not STATUS.exists():
        return _highest()
    with contextlib.suppress(OSError):  # where it may not be written, the peak is that of the whole process
        RESET.write_text("5")
    return _field("VmRSS")


def growth(since: int) -> int:
    """By how many bytes the process's memory was larger at its peak than at `since`, what `from_here` returned."""
    peak = _field("VmHWM") if STATUS.exists() else _highest()
    return max(peak - since, 0)


def _field(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _highest() -> int:
    """Where there is no /proc."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
