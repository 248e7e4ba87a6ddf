"""The document of an archive: another entry."""

import zipfile
from pathlib import Path
from typing import Any

from tests.support.toy_format.runner import Runner


def tensors(path: Path) -> dict[str, Any]:
    runner = Runner(path)
    inputs = [{"name": one.name, "shape": [None, *one.shape], "dtype": one.dtype} for one in runner.inputs]
    return {"inputs": inputs, "outputs": [{"name": name} for name in runner.outputs]}


def embed(path: Path, document: bytes) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("document.json", document)


def embedded(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        return archive.read("document.json") if "document.json" in archive.namelist() else None
