"""The only file that knows tf2onnx: converts a traced model to an ONNX graph in float.

tf2onnx is looking for a maintainer, so whatever it gets wrong is corrected here. Each correction says why it exists and
when it can go. Two change the graph (`_convert_erfc`, `_captures_to_initializers`), and so does `fix_resize_scales`;
four patch tf2onnx while it runs (`_scalar_additions`, `_fixed_numbers`, `_no_copies`, `_no_leftovers`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.export.frontend.tracing import trace
from keras_se.export.onnx.resize import fix_resize_scales

CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


def float_graph(model: InferenceModel, opset: int, layout: str, batch_size: int | None) -> Any:
    """Converts a model to an `onnx.ModelProto` in float, whose images have the given layout."""
    tf2onnx = require("tf2onnx", "onnx")
    serve, function = trace(model, batch_size)
    nchw = layout == "nchw"

    def convert() -> Any:
        with _scalar_additions(), _fixed_numbers():
            return tf2onnx.convert.from_function(
                serve,
                input_signature=function.structured_input_signature[0],
                opset=opset,
                custom_op_handlers={"Erfc": (_convert_erfc, [])},
                inputs_as_nchw=_images(model.inputs) if nchw else None,
                outputs_as_nchw=_images(model.outputs) if nchw else None,
            )[0]

    try:
        with low_memory():
            graph = convert()
    except Exception:  # perhaps of an optimizer, without which tf2onnx goes on if it may copy the graph first
        graph = convert()
    _captures_to_initializers(graph, function)
    fix_resize_scales(graph)
    return graph


def _images(tensors: tuple[Tensor, ...]) -> list[str] | None:
    return [tensor.name for tensor in tensors if len(tensor.shape) == 3] or None


def _convert_erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """Converts Erfc(x) to 1 − Erf(x).

    Why: TensorFlow's GELU contains Erfc, and ONNX has none. Can go when tf2onnx converts Erfc.
    """
    from tf2onnx.utils import map_onnx_to_numpy_type

    one = graph.make_const(f"{name}__one", np.ones((), map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))))
    erf = graph.make_node("Erf", node.input)
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output)


def _captures_to_initializers(model: Any, function: Any) -> None:
    """Converts inputs that are captured constants of the traced function to initializers.

    Why: tf2onnx makes graph inputs of them. Can go when an exported model that captures a tensor has no such input.
    """
    onnx = require("onnx", "onnx")
    captured = {inner.name: outer for outer, inner in function.graph.captures if outer.dtype.name != "resource"}
    for value in [value for value in model.graph.input if value.name in captured]:
        model.graph.input.remove(value)
        model.graph.initializer.append(onnx.numpy_helper.from_array(captured[value.name].numpy(), value.name))


@contextmanager
def _scalar_additions() -> Iterator[None]:
    """Makes the transpose optimizer accept the addition of a scalar constant.

    Why: it asks a constant that is added to a convolution for its largest dimension, to see whether it is a bias. A
    scalar has none, so the whole optimizer fails, and a network with hard swishes (x + 3) keeps two transpositions per
    convolution. Can go when `TransposeOptimizer._add_handler` accepts constants of rank 0.
    """
    optimizer = require("tf2onnx.optimizer.transpose_optimizer", "onnx").TransposeOptimizer
    add_handler = optimizer._add_handler

    def handle(self: Any, transpose: Any, node: Any) -> Any:
        added = node.inputs[1]
        if added.is_const() and added.get_tensor_value(as_list=False).ndim == 0:
            return self._handle_node_having_branches(transpose, node)
        return add_handler(self, transpose, node)

    with _replaced(optimizer, "_add_handler", handle):
        yield


@contextmanager
def _fixed_numbers() -> Iterator[None]:
    """Numbers the generated names of every conversion from the start.

    Why: tf2onnx counts over the whole process and sorts nodes by name, so that their order depends on where the count
    gains a digit, and a later export of the same model can have other bytes. Can go when it counts per graph.
    """
    with _replaced(require("tf2onnx.utils", "onnx"), "INTERNAL_NAME", 1):
        yield


@contextmanager
def low_memory() -> Iterator[None]:
    """Converts with a few copies of the weights in memory. Without it, SENet-154 (460 MB of weights) takes 22 GB."""
    with _no_copies(), _no_leftovers():
        yield


@contextmanager
def _no_copies() -> Iterator[None]:
    """Stops tf2onnx from copying the graph before each optimizer.

    Why: it keeps the copy in case the optimizer fails. Here the whole conversion fails then, and runs again without
    this. Can go when tf2onnx no longer copies weights.
    """
    before = os.environ.get(CATCH_ERRORS)
    os.environ[CATCH_ERRORS] = "FALSE"
    try:
        yield
    finally:
        del os.environ[CATCH_ERRORS]
        if before is not None:
            os.environ[CATCH_ERRORS] = before


@contextmanager
def _no_leftovers() -> Iterator[None]:
    """Gives a node a new message in place of clearing the attributes of the old one.

    Why: protobuf releases deleted attributes, kernels among them, only with the message itself, and each optimizer
    deletes and adds them once. Can go when `Node.update_proto` makes a new message.
    """
    node_class = require("tf2onnx.graph", "onnx").Node
    update_proto = node_class.update_proto

    def update(node: Any, *args: Any, **kwargs: Any) -> None:
        fields = {field.name: value for field, value in node._op.ListFields() if field.name != "attribute"}
        node._op = type(node._op)(**fields)
        update_proto(node, *args, **kwargs)

    with _replaced(node_class, "update_proto", update):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
