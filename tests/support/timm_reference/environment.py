"""Makes a virtual environment with timm, the reference of `tests/models/test_timm.py`, and prints its Python.

    python tests/support/timm_reference/environment.py FOLDER [PACKAGE…]

It also has each PACKAGE. It does so once, about two minutes and 1.5 GB; a second call finds it ready, and one at the
same time waits. It is apart from the environment of the tests, which has no timm and no torchvision. pip takes the
packages from where its own settings say; an index with CPU builds of PyTorch is all that this needs.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# What timm imports, PyTorch's own needs aside.
PACKAGES = ("torch==2.13.0", "numpy", "pillow", "pyyaml", "safetensors", "huggingface_hub")
# Without what they depend on: torchvision would bring the one PyTorch that it was built with.
ALONE = ("torchvision==0.28.0", "timm==1.0.31")


def environment(folder: Path, more: Sequence[str] = ()) -> Path:
    """The Python of the environment in `folder`, made if it is not there, not whole, or has other packages."""
    versions = "\n".join((*PACKAGES, *ALONE, *more))
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, ready = folder / "bin" / "python", folder / "ready.txt"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (python.exists() and ready.exists() and ready.read_text() == versions):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, python, more)
            ready.write_text(versions)
    return python


def _make(folder: Path, python: Path, more: Sequence[str]) -> None:
    _run(sys.executable, "-m", "venv", folder)
    install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*install, *PACKAGES, *more)
    _run(*install, "--no-deps", *ALONE)
    # A torchvision that was built with CUDA registers, on import, shapes for operators that a PyTorch for CPUs has no
    # schema of, and fails. No network here uses one of these operators, so the file that does it is emptied.
    (_packages(python) / "torchvision" / "_meta_registrations.py").write_text("")
    _run(python, "-c", "import timm")


def _packages(python: Path) -> Path:
    command = (python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    return Path(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip())


def _run(*command: str | os.PathLike) -> None:
    # Standard output is for the answer alone.
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    print(environment(Path(sys.argv[1]).absolute(), sys.argv[2:]))
