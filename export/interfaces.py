"""What a format consists of: the class of the objects that each format's folder defines, and that of its runner."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.modes import MODES, Mode


class Runner(Protocol):
    """A file in its own runtime.

    Attributes:
        inputs: The inputs, without the batch.
        outputs: The names of the outputs.
        steps: The quantization step of each output that has one.
        quantize: The mode, read off the file.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[str]
    steps: Mapping[str, float]
    quantize: str | None

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Named inputs in the Keras layout, any number of samples → named outputs, dequantized."""
        ...


def any_mode(mode: Mode, value: Any) -> bool:
    """For `Format.options`: all modes have the option."""
    return True


@dataclass(frozen=True, eq=False)
class Format:
    """A format, and everything that depends on the format alone.

    Its folder is a package with the modules `convert` (`to_<name>`, `resolve`, `write` and `write_floats`), `runner`
    (`Runner`), `metadata` (`tensors`, `embed`, `embedded`) and `inspect` (`inspect`), which are imported where they are
    needed.

    Attributes:
        name: What `export` and the command line call it.
        package: The folder's name as a package.
        suffix: How its paths end: `.tflite`, or `_saved_model` for a folder.
        runtime: The program that runs the file, and verifies it.
        runtime_module: What that is imported as.
        extra: The extra of keras-se that brings it.
        used_for: Where such files go.
        recognises: Whether a path that exists is such a file.
        loss: Why a folder of this format cannot be replaced without loss, as a part of a sentence; empty if it can.
        packages: The packages that write and run the file, whose versions its metadata list.
        fixed_sizes: Whether its files have no unknown sizes: a batch of 1, if nothing else is asked for.
        runs_here: Whether its files are made for this machine: what is for boards is not timed.
        options: The options of its own that `export` hands on, each with a function of (mode, value) that tells whether
            the mode has such an option.
        call_program: The file in `probes/` that calls the runtime for benchmarks, or the path of another one.
        profiler: The file in `probes/` that profiles a call, or the path of another one; or `None`.
        colours: In reports, on a light and on a dark page.
        marker: In plots, as matplotlib calls it.
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
        """What `quantize` can be."""
        return (None, *(name for name, mode in MODES.items() if self.name in mode.writers))

    def writer(self, mode: Mode) -> Callable[..., Any]:
        """The function that writes files in a mode; for floats the format's own `write_floats`."""
        if mode.name is not None:
            return mode.writer(self.name)
        write_floats: Callable[..., Any] = self._module("convert").write_floats
        return write_floats

    @property
    def convert(self) -> Callable[..., Any]:
        """The exporter, `to_<name>`."""
        exporter: Callable[..., Any] = getattr(self._module("convert"), f"to_{self.name}")
        return exporter

    @property
    def resolve(self) -> Callable[..., Any]:
        """Checks the options of the format, and makes a request of them."""
        resolve: Callable[..., Any] = self._module("convert").resolve
        return resolve

    @property
    def write(self) -> Callable[..., Sequence[str]]:
        """Writes the file of a request to a path, and returns notes."""
        write: Callable[..., Sequence[str]] = self._module("convert").write
        return write

    @property
    def metadata(self) -> Any:
        """How files carry their document: a module with `tensors`, `embed` and `embedded`."""
        return self._module("metadata")

    @property
    def inspect(self) -> Callable[[Path], Any]:
        inspect: Callable[[Path], Any] = self._module("inspect").inspect
        return inspect

    def open(self, path: Path) -> Runner:
        runner: Runner = self._module("runner").Runner(path)
        return runner

    def pixel_dtype(self, mode: Mode) -> str:
        """The type of pixels in Keras. A quantizer wants floats, and makes the file's own input uint8 by `io_dtype`."""
        return "float32" if mode.calibrated and "io_dtype" in self.options else "uint8"

    def takes(self, option: str, mode: Mode, value: Any) -> bool:
        """Whether files of this format, in a mode, have an option."""
        return option in self.options and self.options[option](mode, value)

    def _module(self, name: str) -> Any:
        return import_module(f"{self.package}.{name}")
