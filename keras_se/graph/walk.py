"""Walks over a model: its calls with their shapes, the nodes of its graph, its operations, and all its layers by path.

calls, flow          every call, also in nested models, with shapes and tensors, in the order of computation
nodes_of             the calls of one layer in one model, as Keras records them
operations_by_path   what the graphs of a model and of its nested models call
layers_by_path       all layers of a model or layer, also those that layers hold
layers_inside        the layers one level below
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_se.graph import keras_private
from keras_se.graph.keras_private import Node, functional

Shape = tuple[Any, ...]  # integers, None where a size is unknown


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of an operation of `keras.ops`.

    Attributes:
        layer: The layer or operation that is called.
        path: Its name, after the names of the models that contain it: `backbone/stage1_block1_conv1`.
        inputs, outputs: The shapes of its inputs and outputs, the batch included.
        index: Which call of the layer in its model this is, from 0.
        reads, makes: Its input and output tensors, each by a number that is unique in the whole graph.
    """

    layer: Any
    path: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    index: int
    reads: tuple[int, ...]
    makes: tuple[int, ...]


@dataclass(frozen=True)
class Flow:
    """The calls in a model, and the numbers of its input and output tensors."""

    calls: list[Call]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def calls(model: keras.Model, input_shapes: Sequence[Shape] | None = None) -> list[Call]:
    """The calls of `flow`, with the same arguments and errors."""
    return flow(model, input_shapes).calls


def flow(model: keras.Model, input_shapes: Sequence[Shape] | None = None) -> Flow:
    """Every call in a functional or Sequential model, in an order in which they can be computed, and their tensors.

    Only shapes run through the graph: nothing is computed, and the model is not changed. Nested models are walked, too.

    Args:
        model: The model.
        input_shapes: The shape of each input, the batch included; by default those that the model was built for.

    Raises:
        ValueError: for a model without a graph of layers, or for inputs that do not fit it.
    """
    # The graph is walked also if the model's class has a call() that does more than the graph.
    if not keras_private.records_graph(model) or not model.built:
        raise ValueError(
            "The model must be functional, or Sequential with an Input. "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )
    shapes = [x.shape for x in model.inputs] if input_shapes is None else input_shapes
    if len(shapes) != len(model.inputs):
        raise ValueError(f"There must be a shape for each of the {len(model.inputs)} inputs. Received: {shapes}")
    for shape, expected in zip(shapes, model.inputs, strict=True):
        if len(shape) != len(expected.shape):
            raise ValueError(f"The input must have the shape {expected.shape[1:]}. Received: {tuple(shape)[1:]}")
    found: list[Call] = []
    numbers = _Numbers()
    inputs = [keras.KerasTensor(shape, dtype=x.dtype) for x, shape in zip(model.inputs, shapes, strict=True)]
    given = numbers.new(inputs)
    outputs = _walk(model, inputs, "", found, numbers)
    return Flow(found, given, numbers.of(keras.tree.flatten(outputs)))


class _Numbers:
    """Numbers tensors, and keeps them: the address of a deleted tensor could be used again."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.numbers: dict[int, int] = {}

    def new(self, tensors: list[Any]) -> tuple[int, ...]:
        # An operation can return its input itself: later calls then read the output of this operation.
        for tensor in tensors:
            self.numbers[id(tensor)] = len(self.kept)
            self.kept.append(tensor)
        return self.of(tensors)

    def of(self, tensors: list[Any]) -> tuple[int, ...]:
        return tuple(self.numbers[id(tensor)] for tensor in tensors)


def has_graph(layer: Any) -> bool:
    """Whether it is a model that computes its graph and nothing else: its class has no `call()` of its own."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return False
    return keras_private.is_of_keras(next(kind for kind in type(layer).__mro__ if "call" in vars(kind)))


def check_graph(function: str, model: Any) -> None:
    """Refuses models for which `has_graph` is false, in the name of a public function."""
    if not has_graph(model):
        raise ValueError(
            f"{function} requires a model with a graph of layers: functional with no call() of its own, or Sequential "
            "with an Input. Otherwise make one: keras.Model(x, model.call(x)) with x = keras.Input(shape). "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )


def _walk(model: Any, inputs: list[Any], prefix: str, found: list[Call], numbers: _Numbers) -> Any:
    counts: Counter[str] = Counter()

    def symbolic(operation: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            given = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
            if has_graph(operation):
                return _walk(operation, given, f"{prefix}{operation.name}/", found, numbers)
            reads = numbers.of(given)
            outputs = operation.compute_output_spec(*args, **kwargs)
            returned = keras.tree.flatten(outputs)
            path, index = f"{prefix}{operation.name}", counts[operation.name]
            counts[operation.name] += 1
            shapes, results = (tuple(tuple(x.shape) for x in tensors) for tensors in (given, returned))
            found.append(Call(operation, path, shapes, results, index, reads, numbers.new(returned)))
            return outputs

        return call

    return keras_private.run_graph(model, inputs, symbolic)


def nodes_of(layer: Any, model: keras.Model) -> list[Node]:
    """The calls of a layer in a model, the oldest first: the layer can be a part of other models, too."""
    of_model = {id(node) for node in keras_private.nodes(model)}
    return [node for node in keras_private.calls_of(layer) if id(node) in of_model]


def operations_by_path(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All layers and operations that a model calls, and those of its nested models, by path."""
    for operation in functional(model).operations:
        path = f"{prefix}{operation.name}"
        yield path, operation
        if has_graph(operation):
            yield from operations_by_path(operation, f"{path}/")


def layers_by_path(
    layer: keras.layers.Layer, above: str = "", *, only_models: bool = False
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """All layers inside a model or layer, by path: `"backbone/stage1_se"` of a layer in a nested model.

    With `only_models`, not the layers that layers other than models hold.
    """
    for inner in layers_inside(layer):
        path = f"{above}{inner.name}"
        yield path, inner
        if not only_models or isinstance(inner, keras.Model):
            yield from layers_by_path(inner, f"{path}/", only_models=only_models)


def layers_inside(layer: keras.layers.Layer) -> Sequence[Any]:
    """The layers that a model calls, or that a layer holds."""
    found = layer.layers if isinstance(layer, keras.Model) else keras_private.tracked_layers(layer)
    return [inner for inner in found if isinstance(inner, keras.layers.Layer)]
