"""Counts parameters and multiply-accumulates of a model: per layer, per stage and in total, with SE's share."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import keras

from keras_se.complexity.cost import Complexity, Cost
from keras_se.complexity.macs import PRODUCTS, count_macs
from keras_se.graph.keras_private import all_trainable_variables, flattened
from keras_se.graph.walk import Call, Shape, calls
from keras_se.layers import EXCITATIONS

# The names of layers in this package's networks begin so: `stage3_block2_conv1`, `stem_conv`, `final_conv`.
STAGE = re.compile(r"(stem|stage\d+|transition\d+|final)_")

__all__ = ["Complexity", "Cost", "complexity"]


def complexity(model: keras.Model, input_shape: Sequence[Any] | None = None) -> Complexity:
    """Counts parameters and multiply-accumulates from the graph of a model.

    Convolutions of every kind and dense layers are counted, and in SE the two projections and the product of feature
    map and gates. As in the papers, batch norms (which exports fold), biases, activations, pooling (including the
    squeeze) and additions are not counted.

    Example:

    >>> from keras_se import complexity
    >>> from keras_se.models import SEResNet50
    >>> print(complexity(SEResNet50()))
    se_resnet50: 28,088,024 parameters (9.0 % SE), 3.866 GMACs (0.2 % SE) for 224x224x3

    Args:
        model: A functional or Sequential model; models inside it are counted, too.
        input_shape: The input shape to count for, without the batch; a sequence of shapes for several inputs. It is
            required where the model's shape has unknown sizes.

    Returns:
        A `Complexity`.

    Raises:
        ValueError: for a model without a graph, or an input shape that is unknown or does not fit.
    """
    shapes = _input_shapes(model, input_shape)
    counted: set[int] = set()
    costs, uncounted = [], []
    for call in calls(model, [(1, *shape) for shape in shapes]):
        _check_fits(call)
        variables = {id(v): v for v in _variables(call.layer) if id(v) not in counted}
        counted |= set(variables)
        macs = count_macs(call)
        product = type(call.layer).__name__ in PRODUCTS or any(len(v.shape) > 1 for v in _variables(call.layer))
        if macs is None and product:
            uncounted.append(call.path)
        cost = Cost(
            name=call.path,
            kind=type(call.layer).__name__,
            stage=match[1] if (match := STAGE.match(call.layer.name)) else "head",
            output_shape=call.outputs[0][1:] if call.outputs else (),
            parameters=sum(math.prod(variable.shape) for variable in variables.values()),
            macs=macs or 0,
            is_se=isinstance(call.layer, EXCITATIONS),
        )
        if cost.parameters or cost.macs:
            costs.append(cost)
    if not any(STAGE.match(cost.name.rsplit("/", 1)[-1]) for cost in costs):
        costs = [replace(cost, stage="all") for cost in costs]
    return Complexity(model.name, tuple(shapes), tuple(costs), tuple(uncounted))


def _input_shapes(model: keras.Model, input_shape: Sequence[Any] | None) -> list[Shape]:
    if input_shape is None:
        given = [tuple(x.shape[1:]) for x in getattr(model, "inputs", None) or []]
    else:
        several = isinstance(input_shape, Sequence) and bool(input_shape) and isinstance(input_shape[0], Sequence)
        given = list(input_shape) if several else [input_shape]  # type: ignore[list-item]
    for shape in given:
        if not isinstance(shape, Sequence) or any(not isinstance(size, Integral) or size < 1 for size in shape):
            raise ValueError(f"input_shape must have known sizes. Received: {shape}")
    return [tuple(int(size) for size in shape) for shape in given]


def _check_fits(call: Call) -> None:
    """Refuses input shapes that do not fit a layer's weights: layers do not check this themselves for shapes alone."""
    specs = keras.tree.flatten(getattr(call.layer, "input_spec", None))
    for shape, spec in zip(call.inputs, specs, strict=False):
        axes = spec.axes if isinstance(spec, keras.InputSpec) else {}
        if any(shape[axis] not in (None, size) for axis, size in axes.items()):
            wanted = ", ".join(f"{size} on axis {axis}" for axis, size in axes.items())
            raise ValueError(
                f"input_shape must fit the weights: {call.path!r} requires {wanted}. "
                f"Received: a shape with which it gets {shape}"
            )


def _variables(layer: Any) -> list[Any]:
    """The trainable variables of a layer, also if it is frozen."""
    parts = flattened(layer) if isinstance(layer, keras.layers.Layer) else []
    return [variable for part in parts for variable in all_trainable_variables(part)]
