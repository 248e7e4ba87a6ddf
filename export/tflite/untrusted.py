"""Reads a TFLite file that may come from anybody, with the schema that LiteRT ships."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_se.export.errors import require

IDENTIFIER = b"TFL3"
# What reading outside of a file, or a number as something else, raises in Python.
DAMAGE = (struct.error, IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError, MemoryError)


class Reader:
    """The tables of a TFLite file, as the schema's accessors give them, with every list bounded by the file's size.

    FlatBuffers are offsets that point anywhere, and the Python accessors check little: a list may claim four thousand
    million entries, or a thousand tables the same long list.
    """

    def __init__(self, content: bytes):
        if content[4:8] != IDENTIFIER:
            raise ValueError(f"its identifier is {content[4:8]!r} and not {IDENTIFIER!r}")
        self.schema: Any = require("ai_edge_litert.schema_py_generated", "tflite")
        self.model = self.schema.Model.GetRootAs(content, 0)
        # An entry takes a byte at least; lists that are alike may be stored once.
        self._left = 4 * len(content) + 1024

    def count(self, table: Any, field: str) -> int:
        """The length of a list."""
        length: int = getattr(table, f"{field}Length")()
        self._left -= length
        if length < 0 or self._left < 0:
            raise ValueError(f"its {field} list is longer than the file")
        return length

    def each(self, table: Any, field: str) -> Iterator[Any]:
        """The entries of a list."""
        read = getattr(table, field)
        for index in range(self.count(table, field)):
            entry = read(index)
            if entry is None:
                raise ValueError(f"its {field} list has an empty entry")
            yield entry

    def integers(self, table: Any, field: str) -> list[int]:
        return [int(value) for value in self.each(table, field)]

    def item(self, entries: list[Any], index: int, what: str) -> Any:
        """An entry by its number, which Python would count from the end if it were negative."""
        if not 0 <= index < len(entries):
            raise ValueError(f"it names {what} {index} of {len(entries)}")
        return entries[index]

    def data(self, buffer: Any) -> bytes:
        """The bytes of a buffer."""
        length = self.count(buffer, "Data")
        return bytes(buffer.DataAsNumpy()) if length else b""

    def name_of(self, enumeration: str, number: int) -> str:
        """What the schema calls a number: `name_of("TensorType", 9)` is `"INT8"`."""
        names = {value: name for name, value in vars(getattr(self.schema, enumeration)).items() if name.isupper()}
        if number not in names:
            raise ValueError(f"{number} is no {enumeration}")
        return names[number]


def text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("it is no file")
    return path.read_bytes()
