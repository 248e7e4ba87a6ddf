"""Starts the programs of this folder, in processes that a file from a stranger may crash."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from keras_se._text import last_line

# Programs that import one runtime and modules of this folder, but nothing else of the package: it would bring Keras.
PROBES = Path(__file__).parent
TIMEOUT = 300.0


class RefusedError(Exception):
    """A probe's process failed. The message says how, and continues a sentence whose subject is the program."""


def probe(program: str, path: Path, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Runs a probe on a file, and returns the document that it wrote.

    Runtimes are written in C++, and a malicious file can crash the process that loads it.

    Args:
        program: The probe's file in this folder, or its absolute path.
        path: Its argument.
        timeout: Seconds.

    Raises:
        RefusedError: if it crashed, took too long, or raised an exception.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(PROBES / program), str(Path(path).absolute()), str(result)]
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
    """Describes the negative status of a process."""
    return f"crashed ({signal.Signals(-status).name})"
