"""Work on files from strangers in a process of its own, which may crash."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from keras_se._text import last_line

# Probes: programs that need one runtime, and of this package at most modules beside them that need NumPy alone.
PROBES = Path(__file__).parent
TIMEOUT = 300.0


class RefusedError(Exception):
    """A probe's process broke off. Its text tells what happened, and no more."""


def probe(program: str, path: Path, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Runs a probe on a file, and returns what it found.

    Runtimes are written in C++, and a file that is made for it can end the process that loads it.

    Args:
        program: The probe's file in this folder.
        path: What it gets as its argument.
        timeout: Seconds.

    Returns:
        The document that the probe wrote.

    Raises:
        RefusedError: if it crashed, took too long, or failed in a way that it does not know.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        # -P: the modules of this folder must not stand in for the standard library's, `inspect` for one.
        command = [sys.executable, "-P", str(PROBES / program), str(Path(path).absolute()), str(result)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, cwd=folder, check=False)
        except subprocess.TimeoutExpired:
            raise RefusedError(f"took longer than {timeout:.0f} s") from None
        if done.returncode < 0:
            raise RefusedError(crash(done.returncode))
        if done.returncode or not result.is_file():
            raise RefusedError(
                last_line(done.stderr.decode(errors="replace")) or f"ended with status {done.returncode}"
            )
        document: dict[str, Any] = json.loads(result.read_text())
        return document


def crash(status: int) -> str:
    """What the negative status of a process tells."""
    return f"crashed ({signal.Signals(-status).name})"
