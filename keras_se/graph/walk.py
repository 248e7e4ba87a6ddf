"""Walks over a model: each call of each layer with the shapes that it gets and returns, and all layers by path."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

Shape = tuple[Any, ...]  # of whole numbers, None where a size is unknown


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of an operation of `keras.ops`.

    Attributes:
        layer: What is called.
        path: Its name, after those of the models that it is nested in: `backbone/stage1_block1_conv1`.
        inputs, outputs: The shapes that it gets and returns, the batch included.
        index: Which call of the layer in its model this is, from 0.
        reads, makes: The tensors that it gets and returns, by numbers that are theirs in the whole graph.
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
    """The calls in a model, and the numbers of the tensors that it takes and returns."""

    calls: list[Call]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def calls(model: keras.Model, input_shapes: Sequence[Shape] | None = None) -> list[Call]:
    """Every call in a functional or Sequential model, in an order in which they can be computed.

    Args and errors are those of `flow`.
    """
    return flow(model, input_shapes).calls


def flow(model: keras.Model, input_shapes: Sequence[Shape] | None = None) -> Flow:
    """Every call in a functional or Sequential model, in an order in which they can be computed, and their tensors.

    Nothing is computed and the model is not changed: only shapes run through it. Models within are walked through.

    Args:
        model: The model.
        input_shapes: The shape of each input, the batch included; by default what the model was built for.

    Raises:
        ValueError: for a model without a graph of layers, or inputs that do not fit it.
    """
    # A graph is walked also where a call() of the model's own does more with it.
    if not hasattr(_graph(model), "_run_through_graph") or not model.built:
        raise ValueError(
            "The model must be a functional one, or a Sequential one with an Input. "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )
    shapes = [x.shape for x in model.inputs] if input_shapes is None else input_shapes
    if len(shapes) != len(model.inputs):
        raise ValueError(f"There must be a shape for each of the {len(model.inputs)} inputs. Received: {shapes}")
    for shape, own in zip(shapes, model.inputs, strict=True):
        if len(shape) != len(own.shape):
            raise ValueError(f"The input must have the shape {own.shape[1:]}. Received: {tuple(shape)[1:]}")
    found: list[Call] = []
    numbers = _Numbers()
    inputs = [_like(own, shape) for own, shape in zip(model.inputs, shapes, strict=True)]
    given = numbers.new(inputs)
    outputs = _walk(model, inputs, "", found, numbers)
    return Flow(found, given, numbers.of(keras.tree.flatten(outputs)))


class _Numbers:
    """Numbers of tensors, which are kept: the address of one that is gone could become another's."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.numbers: dict[int, int] = {}

    def new(self, tensors: list[Any]) -> tuple[int, ...]:
        # An operation can return the very tensor that it got: who reads it from here on, reads what this one made.
        for tensor in tensors:
            self.numbers[id(tensor)] = len(self.kept)
            self.kept.append(tensor)
        return self.of(tensors)

    def of(self, tensors: list[Any]) -> tuple[int, ...]:
        return tuple(self.numbers[id(tensor)] for tensor in tensors)


def has_graph(layer: Any) -> bool:
    """Whether it is a model that computes what its graph says: not one of a class with a `call()` of its own."""
    if not isinstance(layer, keras.Model) or not getattr(layer, "inputs", None):
        return False
    # Keras has no public name for a functional model's class.
    caller = next(kind for kind in type(layer).__mro__ if "call" in vars(kind))
    return caller.__module__.startswith("keras.src.")


def _graph(model: Any) -> Any:
    return model._functional if isinstance(model, keras.Sequential) else model


def _like(tensor: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    return keras.KerasTensor(shape, dtype=tensor.dtype)


def _walk(model: Any, inputs: list[Any], prefix: str, found: list[Call], numbers: _Numbers) -> Any:
    graph = _graph(model)
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
            shapes = _shapes(given), _shapes(returned)
            found.append(Call(operation, path, *shapes, index, reads, numbers.new(returned)))
            return outputs

        return call

    return graph._run_through_graph(inputs, operation_fn=symbolic)


def _shapes(tensors: list[Any]) -> tuple[Shape, ...]:
    return tuple(tuple(x.shape) for x in tensors)


def layers_by_path(layer: keras.layers.Layer, above: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """All layers inside a model or layer, by path: `"backbone/stage1_se"` of a layer in a model in the model."""
    for inner in layers_inside(layer):
        path = f"{above}{inner.name}"
        yield path, inner
        yield from layers_by_path(inner, f"{path}/")


def layers_inside(layer: keras.layers.Layer) -> Sequence[Any]:
    """The layers right inside a model or layer."""
    # Keras has no public way to ask a layer that is no model for the layers it holds.
    found = layer.layers if isinstance(layer, keras.Model) else getattr(layer, "_layers", ())
    return [inner for inner in found if isinstance(inner, keras.layers.Layer)]
