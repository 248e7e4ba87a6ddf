"""The manifest of a folder that an export wrote: what is in it, in numbers, and by which the folder is known."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
MAKER = "keras_se"


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes `facts` and a list of the folder's files, with their sizes; the same for the same folder."""
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    content = {"made_by": MAKER, **facts, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the manifest of a folder says, or `None` for a folder that no export wrote."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("made_by") == MAKER else None


def is_untouched(folder: Path) -> bool:
    """Whether a folder has what its manifest lists, and nothing else: it can be replaced without loss."""
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    found = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != MANIFEST}
    return found == manifest.get("files")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
