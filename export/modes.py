"""The modes of quantization: an object each, and the only place that knows them. A new mode is a row here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, eq=False)
class Mode:
    """A mode of quantization.

    Attributes:
        name: The value of `quantize`.
        writers: The formats that support the mode, by name, each with the function that writes such a file, as the
            format defines it: the function, or `"module:function"`, which is imported when it is needed. Floats have
            none here, since each format has its `write_floats`.
        tolerance: The lower bound of `Parity.tolerance`.
        margin: A sound file may be this many times further off than the Keras model with rounded kernels, since
            activations are rounded, too.
        conclusive: Above this tolerance, the network amplifies rounding so much that its outputs say little: constant
            outputs have an error of 1.
        weight_bits: The bits of a kernel's values: 32 or 16 for floats, 8 or fewer for integers with a scale for each
            output channel.
        activation_bits: The bits of integer activations: 8 or 16.
        calibrated: Whether it learns ranges from calibration data.
        keeps_layers: Whether chosen layers can be excluded from it (`keep`).
        io_dtypes: The types that inputs and outputs can have; the first is the default.
        native_dtype: The type of inputs and outputs that the network does not have to convert.
        pixel_dtype: The type of inputs and outputs where inputs are pixels, unless another one is asked for.
        golden_steps: How many quantization steps a kernel on a board may be off: the runtime's own 16-bit softmax was
            seen to be off by two, a sixteenth of an 8-bit step.
        looks_like: The modes that `inspect` can infer from the operations of such a file; by default, this one. The
            int8 file of a detector has some operations in floats.
        packages: Packages that write it, besides those of the format.
        drawn: A report draws the gates of the file whose mode has the smallest number here; 0 is for never.
    """

    name: str | None
    writers: Mapping[str, str | Callable[..., Any]]
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

    def writer(self, format: str) -> Callable[..., Any]:
        """The function that writes a file of a format in this mode."""
        found = self.writers[format]
        if isinstance(found, str):
            module, _, function = found.partition(":")
            found = getattr(import_module(module), function)
        return found


_TFLITE = "keras_se.export.tflite.quantize"
_ONNX = "keras_se.export.onnx.quantize"

# Tolerances, margins and conclusive tolerances were set on sound and damaged files of residual, dense, mobile and
# shuffled networks and of an LSTM, with fresh, random, data-fitted and trained weights. Where outputs are conclusive,
# the error of a sound file could be 1.5 times as large; within that limit, as many damaged files as possible fail.
MODES: dict[str | None, Mode] = {
    mode.name: mode
    for mode in (
        Mode(None, {}, tolerance=2e-4, margin=8.0, conclusive=0.1, weight_bits=32),
        Mode(
            "float16",
            {"tflite": f"{_TFLITE}:write_float16", "onnx": f"{_ONNX}:to_float16"},
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
            {**dict.fromkeys(("tflite", "microcontroller"), f"{_TFLITE}:write_int8"), "onnx": f"{_ONNX}:to_int8"},
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
            dict.fromkeys(("tflite", "microcontroller"), f"{_TFLITE}:write_int16x8"),
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

# The lower bound of each mode's tolerance, by name.
TOLERANCES = {name: mode.tolerance for name, mode in MODES.items()}


def calibrated_names() -> tuple[str | None, ...]:
    """The modes that need calibration data."""
    return tuple(name for name, mode in MODES.items() if mode.calibrated)


def stated_mode(found: str | None, document: Mapping[str, Any] | None) -> str | None:
    """The mode of a file: the one that its document states if the file looks like it, otherwise the one `found`."""
    stated = (document or {}).get("quantize")
    mode = MODES.get(stated) if isinstance(stated, str) else None
    return mode.name if mode is not None and found in (mode.looks_like or (mode.name,)) else found
