"""The table of export formats: the one place that lists them. Code, command line, tests and docs read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_se.export.inference import Tensor


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
        return getattr(import_module(f"keras_se.export.{self.name}"), f"to_{self.name}")

    def open(self, path: Path) -> Runner:
        return import_module(f"keras_se.export.{self.name}").Runner(path)

    def recognises(self, path: Path) -> bool:
        return (path / "saved_model.pb").is_file() if self.name == "saved_model" else path.suffix == self.suffix


FORMATS = {
    row.name: row
    for row in (
        Format("saved_model", "_saved_model", "TensorFlow", (None,), "servers (TensorFlow Serving)"),
        Format(
            "tflite",
            ".tflite",
            "LiteRT",
            (None, "float16", "dynamic", "int8", "int16x8"),
            "phones, boards, microcontrollers",
        ),
        Format("onnx", ".onnx", "ONNX Runtime", (None,), "servers, desktops, browsers, accelerators"),
    )
}


# The modes that learn ranges from calibration data.
CALIBRATED = ("int8", "int16x8")


def format_of(path: Path) -> Format:
    """The format of a file or folder that exists, or a `ValueError`."""
    row = next((row for row in FORMATS.values() if path.exists() and row.recognises(path)), None)
    if row is None:
        known = ", ".join(f"*{row.suffix}" for row in FORMATS.values())
        problem = "not one of these" if path.exists() else "no such file or folder"
        raise ValueError(f"The file must be one of {known}. Received: {str(path)!r} ({problem})")
    return row
