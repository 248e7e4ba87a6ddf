"""The document of a folder for microcontrollers: its manifest, which says more besides."""

from pathlib import Path

from keras_se.export.metadata import LIMIT
from keras_se.export.microcontroller.manifest import MANIFEST


def embedded(path: Path) -> bytes | None:
    try:
        file = path / MANIFEST
        return file.read_bytes() if file.stat().st_size <= LIMIT else None
    except OSError:
        return None
