"""Formats arrays and constants as C source that compiles as C99 and as C++17."""

import re
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

# C types of arrays, by NumPy dtype.
C_TYPES = {
    "float32": "float",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
WIDTH = 100
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", re.ASCII)


def is_identifier(name: str) -> bool:
    """Whether a name can prefix names in C and C++: no leading, trailing or double `_`, which are reserved."""
    return IDENTIFIER.fullmatch(name) is not None


def identifier(name: str) -> str:
    """Converts any name to a name in C: `3D net-v2` → `model_3D_net_v2`."""
    words = "_".join(re.findall(r"[A-Za-z0-9]+", name))
    return words if is_identifier(words) else f"model_{words}".rstrip("_")


def comment(text: str) -> str:
    """A block comment, wrapped."""
    lines = textwrap.wrap(text.replace("*/", "* /"), WIDTH - 3)
    return "/* " + "\n * ".join(lines) + " */"


def define(name: str, value: object, note: str = "") -> str:
    """A `#define` of a number (floats keep their float32 value), a shape or other text."""
    if isinstance(value, float):
        text = float_literal(value)
    elif isinstance(value, int):
        text = str(value) if value >= 0 else f"({value})"
    elif isinstance(value, tuple):
        text = "{" + ", ".join(map(str, value)) + "}"
    else:
        text = str(value)
    return f"#define {name} {text}" + (f" /* {note} */" if note else "")


def float_literal(value: float) -> str:
    text = np.format_float_scientific(np.float32(value), trim="0") + "f"
    return f"({text})" if value < 0 else text


def declaration(name: str, dtype: str, length: str) -> str:
    return f"extern const {C_TYPES[dtype]} {name}[{length}];"


def array(name: str, values: np.ndarray, length: str, align: str = "") -> str:
    """The definition of a constant array, wrapped in rows."""
    flat = values.ravel()
    if flat.dtype == np.float32:
        items: Iterable[str] = (np.format_float_scientific(value, trim="0") + "f" for value in flat)
    elif flat.dtype == np.uint8:
        items = (f"0x{value:02x}" for value in flat.tolist())
    else:
        items = map(str, flat.tolist())
    return f"{align}const {C_TYPES[values.dtype.name]} {name}[{length}] = {{\n{_rows(items)}\n}};"


def header(file_name: str, before: Sequence[str], declared: Sequence[str] = ()) -> str:
    """A header with an include guard: `before` is includes and constants, `declared` has C linkage."""
    guard = re.sub(r"\W", "_", file_name).upper() + "_"
    linkage = ['#ifdef __cplusplus\nextern "C" {\n#endif', *declared, '#ifdef __cplusplus\n} /* extern "C" */\n#endif']
    return source(
        [f"#ifndef {guard}\n#define {guard}", *before, *(linkage if declared else ()), f"#endif /* {guard} */"]
    )


def source(parts: Sequence[str]) -> str:
    """Joins the parts of a file with empty lines."""
    return "\n\n".join(parts) + "\n"


def _rows(items: Iterable[str]) -> str:
    rows: list[str] = []
    row = "   "
    for item in items:
        if len(row) + len(item) + 2 > WIDTH:
            rows.append(row)
            row = "   "
        row += f" {item},"
    return "\n".join([*rows, row])
