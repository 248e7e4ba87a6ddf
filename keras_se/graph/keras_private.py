"""Every private name of Keras that this package uses, and nowhere else: what to check with a new release of Keras."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras


class Node(Protocol):
    """A call of an operation, as Keras records it in a graph.

    Attributes:
        operation: The layer, or the operation of `keras.ops`, that is called.
        arguments: What it is called with: `.args` and `.kwargs`.
        input_tensors, output_tensors: The symbolic tensors among the arguments, and the results.
    """

    operation: Any
    arguments: Any
    input_tensors: list[Any]
    output_tensors: list[Any]


def functional(model: Any) -> Any:
    """The functional model that computes a Sequential one, or the model itself."""
    return model._functional if isinstance(model, keras.Sequential) else model


def records_graph(model: Any) -> bool:
    """Whether a model has a graph of layers, also if its `call()` does more than its graph says."""
    return hasattr(functional(model), "_run_through_graph")


def run_graph(model: Any, inputs: Sequence[Any], operation_fn: Callable[[Any], Callable[..., Any]]) -> Any:
    """The outputs of a model's graph, each operation of which is replaced by what `operation_fn` returns for it."""
    return functional(model)._run_through_graph(inputs, operation_fn=operation_fn)


def nodes(model: Any) -> list[Node]:
    """The nodes of a model's graph. Its layers can have others, of other graphs."""
    return [node for depth in functional(model)._nodes_by_depth.values() for node in depth]


def calls_of(operation: Any) -> list[Node]:
    """The nodes in which an operation is called, in any graph, the oldest first."""
    return list(operation._inbound_nodes)


def readers_of(operation: Any) -> list[Node]:
    """The nodes that read the outputs of an operation, in any graph; one that reads twice is listed twice."""
    return list(operation._outbound_nodes)


def producer(tensor: Any) -> Any:
    """The layer or operation that a symbolic tensor is an output of."""
    return tensor._keras_history.operation


def output_index(tensor: Any) -> int:
    """Which output of its producer a symbolic tensor is."""
    return int(tensor._keras_history.tensor_index)


def flattened(layer: keras.layers.Layer, include_self: bool = True) -> list[Any]:
    """A layer or model and all layers inside it."""
    return list(layer._flatten_layers(include_self=include_self))


def tracked_layers(layer: Any) -> list[Any]:
    """The layers that a layer holds itself."""
    return list(getattr(layer, "_layers", ()))


def all_trainable_variables(layer: Any) -> list[Any]:
    """The trainable variables of a layer alone, also if it is frozen: the public list is empty then."""
    return list(layer._trainable_variables)


def lambda_output_shape(layer: keras.layers.Lambda) -> Any:
    """The `output_shape` that a `Lambda` layer was made with."""
    return layer._output_shape


def is_of_keras(kind: type, *packages: str) -> bool:
    """Whether a class is defined in Keras itself, in one of these packages: `"layers"`, `"ops"`."""
    return kind.__module__.startswith(tuple(f"keras.src.{package}" for package in packages or ("",)))
