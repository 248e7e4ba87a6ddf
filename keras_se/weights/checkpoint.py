"""Reads checkpoint files: a table of tensors by name, and their values one at a time."""

import json
import math
import re
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import ml_dtypes
import numpy as np

from keras_se._optional import require
from keras_se._text import LONGEST, reason, shown

T = TypeVar("T")

# The keys of a PyTorch checkpoint that may hold its tensors. The first one present is used: as in timm, averages over
# training come before the last step.
WRAPPINGS = ("state_dict_ema", "model_ema", "state_dict", "model")
# Prefixes removed from tensor names, in every format.
PREFIXES = ("module.", "model.")
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Tensors:
    """A checkpoint's tensors.

    Attributes:
        path: The file.
        shapes: Shapes by name.
        read: Reads a tensor into a new float32 array, which stays valid when the file changes. It raises a `ValueError`
            for a tensor that does not hold floats.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


def open_tensors(path: Path) -> Tensors:
    """The tensors of a `.safetensors`, `.pth`, `.pt` or `.bin` file.

    Raises:
        ValueError: for a file that is damaged, of another format than its suffix, or would run code.
        ImportError: if the package that reads it is missing.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    return _torch(path)


def _safetensors(path: Path) -> Tensors:
    safetensors = require("safetensors", "weights")
    try:
        with safetensors.safe_open(path, framework="np"):  # checks the whole header
            places = _places(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"weights must be a complete .safetensors file. Received: {str(path)!r} ({reason(error)})"
        ) from error
    named = _named(path, places)

    def read(name: str) -> np.ndarray:
        place = named[name]
        if place.dtype not in FLOATS:
            raise _wrong_dtype(path, name, place.dtype)
        # Not memory-mapped: all that was read of a map counts as the process's memory until the map is closed.
        values = np.fromfile(path, FLOATS[place.dtype], math.prod(place.shape), offset=place.begin)
        if values.size != math.prod(place.shape):
            raise ValueError(
                f"The file must not change while it is read. Received: {str(path)!r}, which became shorter"
            )
        return _float32(values.reshape(place.shape))

    return Tensors(path, {name: place.shape for name, place in named.items()}, read)


class _Place(NamedTuple):
    """A tensor in a `.safetensors` file: its dtype, its shape, and the offset of its first byte."""

    dtype: str
    shape: tuple[int, ...]
    begin: int


def _places(path: Path) -> dict[str, _Place]:
    """The tensors of a file whose header was checked."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return {
        name: _Place(entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in sorted(header.items())
        if name != "__metadata__"
    }


def _torch(path: Path) -> Tensors:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
    except OSError as error:
        raise ValueError(f"weights must be a readable file. Received: {str(path)!r} ({reason(error)})") from error
    torch = require("torch", "torch")
    try:
        # A pickle can hold code; `weights_only` accepts only tensors and plain values.
        with warnings.catch_warnings(action="ignore"):  # the error says it
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged file raises errors of any class
        raise ValueError(
            f"weights must be a PyTorch checkpoint that holds only tensors. Received: {str(path)!r} ({_refusal(error)})"
        ) from error
    tensors = _named(path, _state_dict(loaded, torch.Tensor))
    if not tensors:
        raise ValueError(
            f"weights must be a PyTorch checkpoint that holds tensors. Received: {str(path)!r} with no tensor"
        )
    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

    def read(name: str) -> np.ndarray:
        tensor = tensors[name].detach()
        if tensor.dtype not in floats or tensor.layout != torch.strided or tensor.is_meta:
            raise _wrong_dtype(path, name, f"{tensor.dtype}, {tensor.layout}, on {tensor.device}")
        return np.array(tensor.float().resolve_neg().numpy())  # a copy: the tensor may be a part of the mapped file

    return Tensors(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, read)


def _refusal(error: Exception) -> str:
    """Why PyTorch refuses a file, without its advice to read the file with the checks turned off."""
    if asked := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"it refers to {asked[1]}"
    return "it is damaged or of another format"


def _state_dict(loaded: Any, tensor_type: type) -> dict[str, Any]:
    for key in WRAPPINGS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    items = loaded.items() if isinstance(loaded, Mapping) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, tensor_type)}


def _named(path: Path, found: Mapping[str, T]) -> dict[str, T]:
    """Tensors by their names without prefixes, which must be printable, since messages show them."""
    named: dict[str, T] = {}
    for name, value in found.items():
        if not name.isprintable() or len(name) > LONGEST:
            raise ValueError(
                f"Tensor names must be printable and have at most {LONGEST} characters. "
                f"Received: {shown(name)} in {str(path)!r}"
            )
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name in named:
            raise ValueError(f"Tensor names must be unique. Received: two {shown(name)} in {str(path)!r}")
        named[name] = value
    return named


def _wrong_dtype(path: Path, name: str, dtype: str) -> ValueError:
    return ValueError(
        f"Tensors must be dense, with dtype {', '.join(FLOATS)}. Received: {name} of {dtype} in {str(path)!r}"
    )


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # to infinity, which `assign` refuses
        return array.astype("float32", copy=False)
