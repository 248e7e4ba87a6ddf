"""The SavedModel format. May import the frontend, passes, data and verification."""

from fnmatch import fnmatchcase
from pathlib import Path

from keras_se.export.interfaces import Format, any_mode

# The files of an exported SavedModel. Other files in its folder, such as a server's warm-up requests in `assets.extra`,
# are the user's.
FILES = (
    *("saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "debug/saved_model_debug_info.pb"),
    *("variables/variables.*", "assets/*", "assets.extra/keras_se.json"),
)


def _recognises(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


def _loss(folder: Path) -> str:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    others = [file for file in files if not any(fnmatchcase(file, known) for known in FILES)]
    return f"the folder of a SavedModel that also holds {others[0]!r}" if others else ""


FORMAT = Format(
    name="saved_model",
    package=__name__,
    suffix="_saved_model",
    runtime="TensorFlow",
    runtime_module="tensorflow",
    extra="tensorflow",
    used_for="servers (TensorFlow Serving)",
    recognises=_recognises,
    loss=_loss,
    packages=("keras", "tensorflow"),
    options={"signatures": any_mode},
    call_program="saved_model_call.py",
    colours=("#7a5cc0", "#b39af0"),
    marker="s",
)
