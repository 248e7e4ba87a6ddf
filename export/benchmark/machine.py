"""The machine that figures were measured on, and the versions of what measured them."""

import os
import platform
from pathlib import Path

from keras_se._text import counted
from keras_se.doctor import diagnose
from keras_se.version import __version__

# Packages of these extras are listed; the empty one is the package itself.
EXTRAS = {"", "export"}


def machine() -> str:
    """The processor, the number of cores and the system, in one line."""
    return f"{_processor()}, {counted(os.cpu_count() or 1, 'core')}, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    """The version of everything that makes and runs files, by name."""
    found = {package.name: package.found for package in diagnose().packages if EXTRAS & set(package.extras)}
    own = {"keras-se": __version__, "Python": platform.python_version()}
    return own | {name: version for name, version in found.items() if version}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not on Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or "a processor without a name"])[0]
