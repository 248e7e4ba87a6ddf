"""Compilers, and the runtime of microcontrollers."""

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

STUB = Path(__file__).parent / "tflite_micro_stub"
STRICT = ("-Wall", "-Wextra", "-Werror")


def runtime() -> ModuleType:
    """LiteRT for Microcontrollers, from its package for PCs."""
    why = "the runtime itself is tried where it is installed: pip install tflite-micro (x86-64 Linux)"
    return pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason=why)


def arm(tool: str) -> str:
    """The path of a tool of the Arm compiler for boards."""
    found = shutil.which(f"arm-none-eabi-{tool}")
    if found is None:
        pytest.skip("the Arm compiler is tried where it is installed: apt-get install gcc-arm-none-eabi")
    return found


def run(*command: str | Path) -> str:
    """What a command prints. It has to succeed without a word of complaint."""
    if shutil.which(str(command[0])) is None:
        pytest.skip("sources are compiled where there is a compiler: apt-get install g++")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
