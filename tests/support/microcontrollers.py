"""What the tests of exports for microcontrollers share: folders that are written once, compilers, and the runtime."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from keras_se.export import Artifact
from keras_se.export.microcontroller.convert import to_microcontroller
from tests.support.networks.exported import sample

STUB = Path(__file__).parent / "tflite_micro_stub"
STRICT = ("-Wall", "-Wextra", "-Werror")


def exporter(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Artifact]:
    """Returns the folder of a network of the table, for a mode. No test may change it."""

    @cache
    def export_once(name: str, mode: str | None = "int8", **options: Any) -> Artifact:
        path = tmp_path_factory.mktemp(f"{name}_{mode}") / "folder"
        data = sample(name).data if mode else None
        return to_microcontroller(sample(name).model, path, quantize=mode, calibration_data=data, name=name, **options)

    return export_once


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
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
