"""Reads and writes the manifest, which marks a folder as an export and lists its files and facts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
MAKER = "keras_se"


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes `facts` and the sizes of the folder's files, in a fixed order."""
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    content = {"made_by": MAKER, **facts, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or `None` for a folder that no export wrote."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("made_by") == MAKER else None


def is_untouched(folder: Path) -> bool:
    """Whether a folder holds exactly the files that its manifest lists, so that it can be replaced without loss."""
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    found = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != MANIFEST}
    return found == manifest.get("files")
