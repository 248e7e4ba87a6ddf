"""The modes of quantization: one object each, and the only place that knows them. Another mode is a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of quantization.

    Attributes:
        name: What `quantize` calls it.
        writers: The formats that have it, by name, each with the function that writes such a file, as the format
            defines it, or `"module:function"`, which is imported where it is needed. Floats are every format's own.
        tolerance: The least that `Parity.tolerance` is.
        margin: How many times the error of rounded kernels alone a sound file can be off: activations are rounded too.
        conclusive: Above this tolerance, a network amplifies rounding so much that its outputs say little: one that is
            constant is off by 1.
        weight_bits: How many bits kernels have: 32, 16 (floats), or 8 (integers, a scale per output channel).
        activation_bits: How many bits activations have where they are integers: 8 or 16.
        calibrated: Whether it learns ranges from calibration data.
        keeps_layers: Whether chosen layers can be kept out of it (`keep`).
        io_dtypes: What inputs and outputs can be; the first is the default.
        native_dtype: The type that inputs and outputs have in a network that converts none.
        pixel_dtype: The type of inputs and outputs that are pixels, if it is not asked for another one.
        golden_steps: How many steps a kernel on a board may be off: in 16 bits the runtime's own softmax was seen to
            be off by two, a sixteenth of an 8-bit step.
        looks_like: What such files look like by their operations: an int8 file of a detector has some in floats.
        packages: Packages that write it, besides those of the format.
        drawn: The rank at which a report draws its gates beside those of Keras; 0 for never.
    """

    name: str | None
    writers: dict[str, str | Callable[..., Any]]
    tolerance: float
    margin: float
    conclusive: float = 0.5
    weight_bits: int = 8
    activation_bits: int | None = None
    calibrated: bool = False
    keeps_layers: bool = False
    io_dtypes: tuple[str, ...] = ("float32",)
    native_dtype: str = "float32"
    pixel_dtype: str = "float32"
    golden_steps: float = 0.0
    looks_like: tuple[str | None, ...] = ()
    packages: tuple[str, ...] = ()
    drawn: int = 0

    @property
    def label(self) -> str:
        """The name for people."""
        return self.name or "float32"

    def writer(self, format: str) -> Callable[..., Any]:
        """The function that writes a file of a format in this mode."""
        found = self.writers[format]
        if not isinstance(found, str):
            return found
        module, _, function = found.partition(":")
        writer: Callable[..., Any] = getattr(import_module(module), function)
        return writer

    def describes(self, found: str | None) -> bool:
        """Whether a file of this mode can look like one of the mode `found`."""
        return found in (self.looks_like or (self.name,))


_TFLITE = "keras_se.export.tflite.quantize"
_ONNX = "keras_se.export.onnx.quantize"

# The tolerances, margins and conclusive tolerances rest on sound and on damaged files of residual, dense, mobile and
# shuffled networks and of an LSTM, with fresh, random, data-fitted and trained weights. Where outputs can tell, the
# error of a sound file could be half as much again; a damaged one is refused as often as that allows.
MODES: dict[str | None, Mode] = {
    mode.name: mode
    for mode in (
        Mode(
            None,
            {},
            tolerance=2e-4,
            margin=8.0,
            conclusive=0.1,
            weight_bits=32,
        ),
        Mode(
            "float16",
            {"tflite": f"{_TFLITE}:write_float16", "onnx": f"{_ONNX}:in_float16"},
            tolerance=2e-3,
            margin=5.0,
            conclusive=0.3,
            weight_bits=16,
            drawn=5,
        ),
        Mode(
            "dynamic",
            {"tflite": f"{_TFLITE}:write_dynamic"},
            tolerance=0.06,
            margin=4.0,
            packages=("ai-edge-quantizer",),
            drawn=4,
        ),
        Mode(
            "int8",
            {
                "tflite": f"{_TFLITE}:write_int8",
                "microcontroller": f"{_TFLITE}:write_int8",
                "onnx": f"{_ONNX}:in_int8",
            },
            tolerance=0.12,
            margin=4.0,
            activation_bits=8,
            calibrated=True,
            io_dtypes=("float32", "int8", "uint8"),
            native_dtype="int8",
            pixel_dtype="uint8",
            golden_steps=1.0,
            looks_like=("int8", "selective"),
            drawn=1,
        ),
        Mode(
            "int16x8",
            {"tflite": f"{_TFLITE}:write_int16x8", "microcontroller": f"{_TFLITE}:write_int16x8"},
            tolerance=0.03,
            margin=2.5,
            activation_bits=16,
            calibrated=True,
            io_dtypes=("float32", "int16"),
            native_dtype="int16",
            golden_steps=16.0,
            drawn=3,
        ),
        Mode(
            "selective",
            {"tflite": f"{_TFLITE}:write_selective"},
            tolerance=0.12,
            margin=4.0,
            activation_bits=8,
            calibrated=True,
            keeps_layers=True,
            io_dtypes=("float32", "int8", "uint8"),
            pixel_dtype="uint8",
            looks_like=("int8", "selective"),
            packages=("ai-edge-quantizer",),
            drawn=2,
        ),
    )
}

# The least error that each mode forgives, by name.
TOLERANCES = {name: mode.tolerance for name, mode in MODES.items()}


def calibrated_names() -> tuple[str | None, ...]:
    """The modes that need calibration data."""
    return tuple(name for name, mode in MODES.items() if mode.calibrated)


def stated_mode(found: str | None, document: Mapping[str, Any] | None) -> str | None:
    """The mode of a file: the one that its own document states, if the file looks like that, and else as `found`."""
    stated = (document or {}).get("quantize")
    mode = MODES.get(stated) if isinstance(stated, str) else None
    return mode.name if mode is not None and mode.describes(found) else found
