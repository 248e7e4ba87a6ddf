"""Layers may have names that TensorFlow refuses for scopes: with spaces, umlauts, or an underscore first."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require


def scope_name(name: str) -> str:
    """The name of a layer as a scope: the same, if TensorFlow takes it, and otherwise no other layer's either."""
    clean = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    if not re.match(r"[A-Za-z0-9.]", clean):
        clean = f"layer{clean}"
    # With a letter first: a number would be one of TensorFlow's, for a scope that is opened again.
    return clean if clean == name else f"{clean}_x{zlib.crc32(name.encode()):08x}"


@contextmanager
def clean_scopes() -> Iterator[None]:
    """While a model is traced and saved, scopes have names that TensorFlow takes. The model keeps its own."""
    tf = require("tensorflow", "tensorflow")
    own = tf.Graph.name_scope

    def name_scope(graph: Any, name: Any) -> Any:
        return own(graph, scope_name(name) if isinstance(name, str) and name else name)

    tf.Graph.name_scope = name_scope
    try:
        yield
    finally:
        tf.Graph.name_scope = own
