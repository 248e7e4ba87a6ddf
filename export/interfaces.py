"""The interfaces of a format: `Format`, of which each format's folder defines an object, and `Runner`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.modes import MODES, Mode


class Runner(Protocol):
    """A file opened in its own runtime.

    Attributes:
        inputs: The inputs, without the batch.
        outputs: The names of the outputs.
        steps: The quantization step of each output that has one.
        quantize: The mode, as the file shows it.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[str]
    steps: Mapping[str, float]
    quantize: str | None

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Named inputs in the Keras layout, any number of samples → named outputs, dequantized."""
        ...


def any_mode(mode: Mode, value: Any) -> bool:
    """For `Format.options`: all modes support the option."""
    return True


@dataclass(frozen=True, eq=False)
class Format:
    """A format, and everything that depends on the format alone.

    Its folder is a package with the modules `convert` (`resolve`, `write`, `write_floats`, and the exporter
    `to_<name>`), `runner` (`Runner`), `metadata` (`tensors`, `embed`, `embedded`) and `inspect` (`inspect`). They are
    imported when they are needed.

    Attributes:
        name: The name in `export` and on the command line.
        package: The folder's name as a package.
        suffix: The end of its paths: `.tflite`, or `_saved_model` for a folder.
        runtime: The program that runs and verifies the file.
        runtime_module: The module that imports the runtime.
        extra: The extra of keras-se that installs it.
        used_for: The devices that run such files.
        recognises: Whether an existing path is such a file.
        packages: The packages that write and run the file, whose versions its metadata list.
        loss: Why a folder of this format cannot be replaced without loss, as a noun phrase; empty if it can.
        fixed_sizes: Whether its files have no unknown sizes; their batch is 1 by default.
        runs_here: Whether files run on this machine and can be timed; those for boards do not.
        intermediate_tensors: Whether the intermediate tensors of quantized files can be read, for their gates in
            reports and for `layer_errors`.
        options: The format's own options that `export` passes on, each with a function of (mode, value) that says
            whether the mode supports it.
        call_program: The file in `probes/` that calls the runtime for benchmarks, or the path of another one.
        profiler: The file in `probes/` that profiles a call, or the path of another one; or `None`.
        colours: In reports, on a light and on a dark page.
        marker: In plots, in matplotlib's notation.
    """

    name: str
    package: str
    suffix: str
    runtime: str
    runtime_module: str
    extra: str
    used_for: str
    recognises: Callable[[Path], bool]
    packages: tuple[str, ...]
    loss: Callable[[Path], str] = lambda folder: ""
    fixed_sizes: bool = False
    runs_here: bool = True
    intermediate_tensors: bool = False
    options: Mapping[str, Callable[[Mode, Any], bool]] = field(default_factory=dict)
    call_program: str | Path | None = None
    profiler: str | Path | None = None
    colours: tuple[str, str] = ("#555555", "#aaaaaa")
    marker: str = "o"

    @property
    def is_folder(self) -> bool:
        return not self.suffix.startswith(".")

    @property
    def modes(self) -> tuple[str | None, ...]:
        """The values of `quantize` that the format supports."""
        return (None, *(name for name, mode in MODES.items() if self.name in mode.writers))

    def writer(self, mode: Mode) -> Callable[..., Any]:
        """The function that writes files in a mode."""
        return mode.writer(self.name) if mode.name else self._function("convert", "write_floats")

    @property
    def convert(self) -> Callable[..., Any]:
        """The exporter, `to_<name>`."""
        return self._function("convert", f"to_{self.name}")

    @property
    def resolve(self) -> Callable[..., Any]:
        """Checks the format's own options, and adds them to a request."""
        return self._function("convert", "resolve")

    @property
    def write(self) -> Callable[..., Sequence[str]]:
        """Writes the file of a request to a path, and returns notes."""
        return self._function("convert", "write")

    @property
    def inspect(self) -> Callable[[Path], Any]:
        return self._function("inspect", "inspect")

    @property
    def metadata(self) -> Any:
        """The module that stores the document in files: `tensors`, `embed` and `embedded`."""
        return import_module(f"{self.package}.metadata")

    def open(self, path: Path) -> Runner:
        """The file at a path, in its runtime."""
        runner: Runner = self._function("runner", "Runner")(path)
        return runner

    def pixel_dtype(self, mode: Mode) -> str:
        """The type of pixels in Keras: floats where a quantizer makes the file's input uint8 (`io_dtype`)."""
        return "float32" if mode.calibrated and "io_dtype" in self.options else "uint8"

    def takes(self, option: str, mode: Mode, value: Any) -> bool:
        """Whether files of this format support an option in a mode."""
        return option in self.options and self.options[option](mode, value)

    def _function(self, module: str, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(f"{self.package}.{module}"), name)
        return function
