"""Describes the machine and the package versions of a measurement."""

import os
import platform
from pathlib import Path

from keras_se._text import counted
from keras_se.doctor import diagnose
from keras_se.version import __version__

# Packages of these extras are listed; the empty one stands for the package's required dependencies.
EXTRAS = {"", "export"}


def machine() -> str:
    """The processor, the number of cores and the system, in one line."""
    return f"{_processor()}, {counted(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    """The versions of the packages that make and run files, by name."""
    found = {package.name: package.found for package in diagnose().packages if EXTRAS & set(package.extras)}
    base = {"keras-se": __version__, "Python": platform.python_version()}
    return base | {name: version for name, version in found.items() if version}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not on Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or "unknown processor"])[0]
