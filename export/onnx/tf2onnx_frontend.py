"""The only file that knows tf2onnx: a traced model → an ONNX graph in floats."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.frontend.tracing import trace
from keras_se.export.onnx.resize import keep_sizes


def _converted(model: InferenceModel, opset: int, layout: str, batch_size: int | None) -> Any:
    """The graph in floats. The only place that knows tf2onnx."""
    tf2onnx = require("tf2onnx", "onnx")
    serve, function = trace(model, batch_size)
    nchw = layout == "nchw"

    @scalars()
    def convert() -> Any:
        return tf2onnx.convert.from_function(
            serve,
            input_signature=function.structured_input_signature[0],
            opset=opset,
            custom_op_handlers={"Erfc": (_erfc, [])},
            inputs_as_nchw=_images(model.inputs) if nchw else None,
            outputs_as_nchw=_images(model.outputs) if nchw else None,
        )[0]

    try:
        with lean():
            graph = convert()
    except Exception:  # of one of its passes, perhaps, which it can do without
        graph = convert()
    _hold_constants(graph, function)
    keep_sizes(graph)
    return graph


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """1 − Erf(x) in the place of Erfc(x), of which TensorFlow's GELU is made, and which ONNX does not have."""
    from tf2onnx.utils import map_onnx_to_numpy_type

    dtype = map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))
    one = graph.make_const(f"{name}__one", np.ones((), dtype))
    erf = graph.make_node("Erf", node.input)
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output)


def _hold_constants(model: Any, function: Any) -> None:
    """Makes constants of the tensors that the traced function holds; tf2onnx makes inputs of them."""
    onnx = require("onnx", "onnx")
    held = {inner.name: outer for outer, inner in function.graph.captures if outer.dtype.name != "resource"}
    for value in [value for value in model.graph.input if value.name in held]:
        model.graph.input.remove(value)
        model.graph.initializer.append(onnx.numpy_helper.from_array(held[value.name].numpy(), value.name))


def _images(tensors: tuple[Tensor, ...]) -> list[str] | None:
    return [tensor.name for tensor in tensors if len(tensor.shape) == 3] or None


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


@contextmanager
def scalars() -> Iterator[None]:
    """Converts networks with hard swishes, x + 3 among other things, without a pair of transpositions a convolution.

    The pass that takes transpositions out asks a constant that is added to a convolution for its largest size, to see
    whether it is a bias. A number has none, and the pass fails as a whole. Here it goes on as with any other sum.
    """
    optimizer = require("tf2onnx.optimizer.transpose_optimizer", "onnx").TransposeOptimizer
    handle = optimizer._add_handler

    def handle_number(self: Any, transposition: Any, node: Any) -> Any:
        added = node.inputs[1]
        if added.is_const() and added.get_tensor_value(as_list=False).ndim == 0:
            return self._handle_node_having_branches(transposition, node)
        return handle(self, transposition, node)

    optimizer._add_handler = handle_number
    try:
        yield
    finally:
        optimizer._add_handler = handle
