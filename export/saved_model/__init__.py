"""The SavedModel format. May import the frontend, passes, data and verification."""

from pathlib import Path

from keras_se.export.interfaces import Format, any_mode


def _recognises(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


FORMAT = Format(
    name="saved_model",
    package=__name__,
    suffix="_saved_model",
    runtime="TensorFlow",
    runtime_module="tensorflow",
    extra="tensorflow",
    used_for="servers (TensorFlow Serving)",
    recognises=_recognises,
    packages=("keras", "tensorflow"),
    options={"signatures": any_mode},
    call_program="saved_model_call.py",
    colours=("#7a5cc0", "#b39af0"),
    marker="s",
)
