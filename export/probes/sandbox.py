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
# Bytes of a result that are read.
LIMIT = 64 << 20


class RefusedError(Exception):
    """A probe failed. The text completes a sentence about the file's runtime: "crashed (SIGSEGV)"."""


def probe(program: str, path: Path, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Runs a probe on a file, and returns its result.

    Runtimes are written in C++, and a hostile file can crash the process that loads it.

    Args:
        program: The probe's file in this folder, or its absolute path.
        path: The probe's argument.
        timeout: Seconds.

    Raises:
        RefusedError: if the probe crashed, took too long, failed unexpectedly, or wrote too much.
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
        if result.stat().st_size > LIMIT:
            raise RefusedError(f"reported more than {LIMIT >> 20} MB")
        document: dict[str, Any] = json.loads(result.read_text())
        return document


def crash(status: int) -> str:
    """The cause of a negative exit status."""
    return f"crashed ({signal.Signals(-status).name})"
