"""The table of export formats: the one place that lists them. Code, command line, tests and docs read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.microcontroller.manifest import read_manifest


class Runner(Protocol):
    """A file in its own runtime."""

    inputs: Sequence[Tensor]
    outputs: Sequence[str]
    steps: Mapping[str, float]
    quantize: str | None

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Named inputs in the Keras layout, any number of samples → named outputs, dequantized."""
        ...


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes:
        name: What `export` and the command line call it.
        suffix: How its paths end: `.tflite`, or `_saved_model` for a folder.
        runtime: What runs the file, and verifies it.
        modes: What `quantize` can be.
        used_for: Where such files go.
    """

    name: str
    suffix: str
    runtime: str
    modes: tuple[str | None, ...]
    used_for: str

    @property
    def convert(self) -> Callable[..., Any]:
        return getattr(import_module(f"keras_se.export.{self.name}.convert"), f"to_{self.name}")

    def open(self, path: Path) -> Runner:
        return import_module(f"keras_se.export.{self.name}.runner").Runner(path)

    def recognises(self, path: Path) -> bool:
        if self.name == "saved_model":
            return (path / "saved_model.pb").is_file()
        if self.name == "microcontroller":
            return (read_manifest(path) or {}).get("format") == self.name
        return path.suffix == self.suffix and path.is_file()  # to open a FIFO would be to wait


FORMATS = {
    row.name: row
    for row in (
        Format("saved_model", "_saved_model", "TensorFlow", (None,), "servers (TensorFlow Serving)"),
        Format(
            "tflite",
            ".tflite",
            "LiteRT",
            (None, "float16", "dynamic", "int8", "int16x8", "selective"),
            "phones, boards, microcontrollers",
        ),
        Format(
            "microcontroller",
            "_microcontroller",
            "LiteRT",
            (None, "int8", "int16x8"),
            "microcontrollers (tflite-micro), as C sources",
        ),
        Format(
            "onnx",
            ".onnx",
            "ONNX Runtime",
            (None, "float16", "int8"),
            "servers, desktops, browsers, accelerators",
        ),
    )
}


# Every mode that some format has.
MODES = tuple(dict.fromkeys(mode for row in FORMATS.values() for mode in row.modes))
# The modes that learn ranges from calibration data.
CALIBRATED = ("int8", "int16x8", "selective")


def format_of(path: Path) -> Format:
    """The format of a file or folder that exists, or a `ValueError`."""
    row = next((row for row in FORMATS.values() if path.exists() and row.recognises(path)), None)
    if row is None:
        known = ", ".join(f"*{row.suffix}" for row in FORMATS.values())
        problem = "not one of these" if path.exists() else "no such file or folder"
        raise ValueError(f"The file must be one of {known}. Received: {str(path)!r} ({problem})")
    return row
