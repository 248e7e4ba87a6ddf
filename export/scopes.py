"""Layers may have names that TensorFlow refuses for scopes: with spaces, umlauts, or an underscore first."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require


def scope_name(name: str) -> str:
    """The name of a layer as a scope: the same, if TensorFlow takes it."""
    clean = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)
    return clean if re.match(r"[A-Za-z0-9.]", clean) else f"layer{clean}"


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
