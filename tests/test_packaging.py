"""What is installed: the wheel and the sdist hold the package, with export/ as keras_se.export, and nothing else."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MODULES = {f"keras_se/{path.relative_to(ROOT / 'keras_se')}" for path in (ROOT / "keras_se").rglob("*.py")} | {
    f"keras_se/export/{path.relative_to(ROOT / 'export')}" for path in (ROOT / "export").rglob("*.py")
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_every_module(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    data = {
        *("keras_se/py.typed", "keras_se/models/__init__.pyi"),
        *("keras_se/export/report/report.html.j2", "keras_se/weights/imagenet_classes.txt"),
    }
    data |= {f"keras_se/export/microcontroller/templates/{name}" for name in ("README.md", "main.cc", "ops.h")}
    assert names == MODULES | data


def test_the_wheel_has_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = {name.split("/", 1)[1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "keras-se = keras_se.cli:main" in wheel.read(info["entry_points.txt"]).decode()
    assert any(name.endswith("LICENSE") for name in info)


def test_the_sdist_builds_the_same_wheel(tmp_path: Path, wheel: zipfile.ZipFile) -> None:
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {f"export/{path.relative_to(ROOT / 'export')}" for path in (ROOT / "export").rglob("*.py")} <= names
    assert "keras_se/layers/squeeze_excite.py" in names


def test_a_clone_runs_without_being_installed(tmp_path: Path) -> None:
    """Python started in a clone finds `keras_se.export` there, too."""
    for folder in ("keras_se", "export"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    program = "import keras_se.export as e; print(e.__file__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(tmp_path / "keras_se/export/__init__.py")


def test_only_the_reference_extra_brings_other_worlds(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    lines = re.findall(r"^Requires-Dist: ([\w-]+).*extra == ['\"]([\w-]+)['\"]$", wheel.read(name).decode(), re.M)
    brought = {extra: {package for package, of in lines if of == extra} for _, extra in lines}
    heavy = {"ethos-u-vela", "openvino", "tflite-micro", "torch"}
    assert not brought["test"] & heavy
    assert brought["reference"] == brought["test"] | heavy
