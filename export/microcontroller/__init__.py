"""C sources for LiteRT for Microcontrollers. May import the same rooms as the TFLite format, and that format."""

from pathlib import Path

from keras_se.export.interfaces import Format, any_mode
from keras_se.export.microcontroller.manifest import is_untouched, read_manifest


def _recognises(path: Path) -> bool:
    return (read_manifest(path) or {}).get("format") == "microcontroller"


def _loss(folder: Path) -> str:
    return "" if is_untouched(folder) else "a folder that was changed since it was exported"


FORMAT = Format(
    name="microcontroller",
    package=__name__,
    suffix="_microcontroller",
    runtime="LiteRT",
    runtime_module="ai_edge_litert.interpreter",
    extra="tflite",
    used_for="microcontrollers (tflite-micro), as C sources",
    recognises=_recognises,
    loss=_loss,
    packages=("keras", "tensorflow", "ai-edge-litert"),
    fixed_sizes=True,
    runs_here=False,
    options={"io_dtype": lambda mode, value: value in mode.io_dtypes, "input_shape": any_mode},
    colours=("#8a5a00", "#e5b659"),
    marker="^",
)
