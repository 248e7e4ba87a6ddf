"""The document of a folder for microcontrollers: its manifest, which says more besides."""

from pathlib import Path

from keras_se.export.manifest import MANIFEST
from keras_se.export.metadata import LIMIT


def embedded(path: Path) -> bytes | None:
    try:
        file = path / MANIFEST
        return file.read_bytes() if file.stat().st_size <= LIMIT else None
    except OSError:
        return None
