"""Scopes for layers whose names TensorFlow does not accept: with spaces, umlauts, or a leading underscore."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require


def scope_name(name: str) -> str:
    """The scope of a layer: its name if TensorFlow accepts it, otherwise a name that no other layer has."""
    clean = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    if not re.match(r"[A-Za-z0-9.]", clean):
        clean = f"layer{clean}"
    # The suffix begins with a letter: TensorFlow appends a number to a scope that is opened again.
    return clean if clean == name else f"{clean}_x{zlib.crc32(name.encode()):08x}"


@contextmanager
def clean_scopes() -> Iterator[None]:
    """While a model is traced and saved, scopes have names that TensorFlow accepts. The model's names do not change."""
    tf = require("tensorflow", "tensorflow")
    original = tf.Graph.name_scope

    def name_scope(graph: Any, name: Any) -> Any:
        return original(graph, scope_name(name) if isinstance(name, str) and name else name)

    tf.Graph.name_scope = name_scope
    try:
        yield
    finally:
        tf.Graph.name_scope = original
