"""tf2onnx, without the copies of all weights that it makes and keeps with each of its passes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require

CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


@contextmanager
def lean() -> Iterator[None]:
    """Converts with memory for a few copies of the weights. SENet-154, whose weights are 460 MB, took 22 GB."""
    with _without_copies(), _without_remains():
        yield


@contextmanager
def _without_copies() -> Iterator[None]:
    """Not a copy of the graph before each pass, for the case that the pass fails: then the whole conversion does."""
    before = os.environ.get(CATCH_ERRORS)
    os.environ[CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        del os.environ[CATCH_ERRORS]
        if before is not None:
            os.environ[CATCH_ERRORS] = before


@contextmanager
def _without_remains() -> Iterator[None]:
    """Not the remains of each pass: what is deleted from a message takes memory until the message itself goes.

    tf2onnx deletes the attributes of each node, kernels among them, and puts them in anew. Here that is a new node.
    """
    node_class = require("tf2onnx.graph", "onnx").Node
    update = node_class.update_proto

    def update_anew(node: Any, *args: Any, **kwargs: Any) -> None:
        fields = {field.name: value for field, value in node._op.ListFields() if field.name != "attribute"}
        node._op = type(node._op)(**fields)
        update(node, *args, **kwargs)

    node_class.update_proto = update_anew
    try:
        yield
    finally:
        node_class.update_proto = update
