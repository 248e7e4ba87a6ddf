"""The tensors of a checkpoint file, by name, read one at a time."""

import json
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import ml_dtypes
import numpy as np

from keras_se._text import LONGEST, reason, shown

T = TypeVar("T")

# What a checkpoint of PyTorch may hold its tensors under: the first that is there, averages of training before its last
# step, as in timm.
WRAPPINGS = ("state_dict_ema", "model_ema", "state_dict", "model")
# What names may begin with, in every format.
PREFIXES = ("module.", "model.")
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


@dataclass(frozen=True)
class Tensors:
    """A checkpoint's tensors.

    Attributes:
        path: The file.
        shapes: Their shapes, by name.
        read: Reads one, as an array of float32 with memory of its own: a network may keep it, and the file may change.
            It raises a `ValueError` if the tensor has other values than floats.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


def open_tensors(path: Path) -> Tensors:
    """The tensors of a `.safetensors`, `.pth`, `.pt` or `.bin` file.

    Raises:
        ValueError: for a file that is not what its name says, is damaged, or would run code.
        ImportError: if a package that reads it is missing.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    return _torch(path)


def _safetensors(path: Path) -> Tensors:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError("Reading .safetensors needs safetensors: pip install 'keras-se[weights]'") from error
    try:
        with safe_open(path, framework="np"):  # which checks the whole header
            places = _places(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"weights must be a whole .safetensors file. Received: {str(path)!r} ({reason(error)})"
        ) from error
    named = _named(path, places)

    def read(name: str) -> np.ndarray:
        place = named[name]
        if place.kind not in FLOATS:
            raise _no_floats(path, name, place.kind)
        # Not by a map of the file: as long as that lives, what was read of it counts as the process's memory.
        values = np.fromfile(path, FLOATS[place.kind], math.prod(place.shape), offset=place.begin)
        if values.size != math.prod(place.shape):
            raise ValueError(f"weights must stay as they are while they are read. Received: a shorter {str(path)!r}")
        return _float32(values.reshape(place.shape))

    return Tensors(path, {name: place.shape for name, place in named.items()}, read)


class _Place(NamedTuple):
    """A tensor in a `.safetensors` file: what it is of, its shape, and the byte of the file that it begins at."""

    kind: str
    shape: tuple[int, ...]
    begin: int


def _places(path: Path) -> dict[str, _Place]:
    """Of a file whose header was checked."""
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
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path.suffix} files needs PyTorch: pip install 'keras-se[torch]'. A .safetensors file does not."
        ) from error
    try:
        zipped = _is_zip(path)
    except OSError as error:
        raise ValueError(
            f"weights must be a file that can be read. Received: {str(path)!r} ({reason(error)})"
        ) from error
    try:
        # A pickle can hold code; `weights_only` admits tensors and plain values alone.
        with warnings.catch_warnings(action="ignore"):  # about what the error says, too
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # what is wrong inside a file raises anything
        raise ValueError(
            "weights must be a PyTorch checkpoint that holds tensors alone. "
            f"Received: {str(path)!r} ({_refusal(error)})"
        ) from error
    tensors = _named(path, _state_dict(loaded, torch.Tensor))
    if not tensors:
        raise ValueError(
            f"weights must be a PyTorch checkpoint that holds tensors. Received: {str(path)!r} without any"
        )
    floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

    def read(name: str) -> np.ndarray:
        tensor = tensors[name].detach()
        if tensor.dtype not in floats or tensor.layout != torch.strided or tensor.is_meta:
            raise _no_floats(path, name, f"{tensor.dtype}, {tensor.layout}, on {tensor.device}")
        return np.array(tensor.float().resolve_neg().numpy())  # a copy: it may be a part of the mapped file

    return Tensors(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, read)


def _refusal(error: Exception) -> str:
    """Why PyTorch does not read a file. Of its advice, to read it without these checks is no part."""
    if asked := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"it asks for {asked[1]}"
    return "it is damaged, or of another format"


def _state_dict(loaded: Any, kind: type) -> dict[str, Any]:
    for key in WRAPPINGS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    items = loaded.items() if isinstance(loaded, Mapping) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, kind)}


def _named(path: Path, found: Mapping[str, T]) -> dict[str, T]:
    """By names that can be printed, without their prefixes."""
    _check_names(path, found)
    named: dict[str, T] = {}
    for name, value in found.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name in named:
            raise ValueError(f"Tensors must have names of their own. Received: two {shown(name)} in {str(path)!r}")
        named[name] = value
    return named


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _check_names(path: Path, names: Iterable[str]) -> None:
    """Names end up in messages: none is made to be printed, or too long for it."""
    for name in names:
        if not name.isprintable() or len(name) > LONGEST:
            raise ValueError(
                f"Tensors must have printable names of at most {LONGEST} characters. "
                f"Received: {shown(name)} in {str(path)!r}"
            )


def _no_floats(path: Path, name: str, kind: str) -> ValueError:
    return ValueError(f"Tensors must be dense, of {', '.join(FLOATS)}. Received: {name} of {kind} in {str(path)!r}")


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # to infinity, which `check_finite` finds
        return array.astype("float32", copy=False)


def check_finite(tensors: Tensors, names: list[str]) -> None:
    """Raises a `ValueError` that names the tensors that have a value which is no number."""
    wrong = [name for name in names if not np.isfinite(tensors.read(name)).all()]
    if wrong:
        listed = ", ".join(wrong[:5]) + (", …" if len(wrong) > 5 else "")
        raise ValueError(
            f"Tensors must be finite everywhere. Received: NaN or infinity in {listed} of {str(tensors.path)!r}"
        )
