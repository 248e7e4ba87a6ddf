"""Tells which folders an export may replace: those that hold nothing but an export."""

from fnmatch import fnmatchcase
from pathlib import Path

from keras_se.export.microcontroller.manifest import is_untouched, read_manifest

# The files of a SavedModel. Others in its folder are the user's, such as requests to warm up a server (`assets.extra`).
SAVED_MODEL = (
    *("saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "debug/saved_model_debug_info.pb"),
    *("variables/variables.*", "assets/*", "assets.extra/keras_se.json"),
)


def replaceable_export(folder: Path) -> str:
    """Why a folder cannot be replaced without loss, as a part of a sentence; empty if it can."""
    if (folder / "saved_model.pb").is_file():
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
        others = [file for file in files if not any(fnmatchcase(file, known) for known in SAVED_MODEL)]
        return f"the folder of a SavedModel that also holds {others[0]!r}" if others else ""
    if read_manifest(folder) is not None:
        return "" if is_untouched(folder) else "a folder that was changed since it was exported"
    return "a folder that is not an export" if any(folder.iterdir()) else ""
