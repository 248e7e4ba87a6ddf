"""Walks over a functional model: each call of each layer, with the shapes that it gets and returns."""

from collections.abc import Sequence
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
    """

    layer: Any
    path: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


def calls(model: keras.Model, input_shapes: Sequence[Shape] | None = None) -> list[Call]:
    """Every call in a functional or Sequential model, in an order in which they can be computed.

    Nothing is computed and the model is not changed: only shapes run through it. Models within are walked through.

    Args:
        model: The model.
        input_shapes: The shape of each input, the batch included; by default what the model was built for.

    Raises:
        ValueError: for a model without a graph of layers, or inputs that do not fit it.
    """
    if not _has_graph(model) or not model.built:
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
    _walk(model, [_like(own, shape) for own, shape in zip(model.inputs, shapes, strict=True)], "", found)
    return found


def _has_graph(layer: Any) -> bool:
    # Keras has no public name for a functional model's class.
    graph = layer._functional if isinstance(layer, keras.Sequential) else layer
    return hasattr(graph, "_run_through_graph")


def _like(tensor: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    return keras.KerasTensor(shape, dtype=tensor.dtype)


def _walk(model: Any, inputs: list[Any], prefix: str, found: list[Call]) -> Any:
    graph = model._functional if isinstance(model, keras.Sequential) else model

    def symbolic(operation: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            given = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
            if _has_graph(operation):
                return _walk(operation, given, f"{prefix}{operation.name}/", found)
            outputs = operation.compute_output_spec(*args, **kwargs)
            returned = keras.tree.flatten(outputs)
            found.append(Call(operation, f"{prefix}{operation.name}", _shapes(given), _shapes(returned)))
            return outputs

        return call

    return graph._run_through_graph(inputs, operation_fn=symbolic)


def _shapes(tensors: list[Any]) -> tuple[Shape, ...]:
    return tuple(tuple(x.shape) for x in tensors)
