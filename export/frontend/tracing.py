"""A model as a TensorFlow function."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from keras_se.export.errors import require
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import clean_scopes


@contextmanager
def inlined_functions() -> Iterator[None]:
    """While tracing, calls of nested `tf.function`s become part of the graph.

    Keras computes grouped convolutions in a function compiled by XLA; tf2onnx writes its call into the file as a node
    that no runtime knows.
    """
    tf = require("tensorflow", "tensorflow")
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def trace(model: InferenceModel, batch_size: int | None, shapes: Mapping[str, tuple] | None = None) -> tuple[Any, Any]:
    """The model as a TensorFlow function with named inputs and outputs.

    Args:
        model: The model.
        batch_size: A fixed batch, or `None` for any.
        shapes: Input shapes without the batch, by name, where they differ from the model's.

    Returns:
        The `tf.function`, and its concrete function.
    """
    tf = require("tensorflow", "tensorflow")
    specs = [
        tf.TensorSpec((batch_size, *(shapes or {}).get(tensor.name, tensor.shape)), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]

    @tf.function(input_signature=specs)
    def serve(*inputs: Any) -> dict[str, Any]:
        return {tensor.name: output for tensor, output in zip(model.outputs, model(*inputs), strict=True)}

    with inlined_functions(), clean_scopes():
        return serve, serve.get_concrete_function()
