"""Finds the calls that SE goes behind: those that the user names, or those that are detected in the graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_se._text import counted
from keras_se.graph.dataflow import Dataflow, data_format, dtype_policy, excitations, is_map, without_excitations
from keras_se.graph.select import select
from keras_se.graph.walk import Call, Shape, check_graph, flow
from keras_se.insert.detect_blocks import detect_blocks
from keras_se.layers import EXCITATIONS

Where = str | Sequence[str] | Callable[[Any], bool]


@dataclass(frozen=True)
class Place:
    """A place for SE: behind a layer.

    Attributes:
        path: The layer's name, after the names of the models that contain it.
        index: Which call of the layer it is behind, from 0; `None` for all calls of a layer that has weights.
        shape: The shape of the layer's output, the batch included.
        channels: The number of channels of that output.
        data_format: `"channels_last"` or `"channels_first"`.
        dtype: The layer's policy.
    """

    path: str
    index: int | None
    shape: Shape
    channels: int
    data_format: str
    dtype: Any


def places(model: keras.Model, where: Where, force: bool) -> list[Place]:
    """The places that `where` selects, in the order of the graph.

    Raises:
        ValueError: for a model without a graph, one that has SE without `force`, or a `where` that selects nothing.
    """
    check_graph("insert_se", model)
    graph = flow(model)
    dataflow = Dataflow(graph)
    if not force:
        _check_plain(dataflow)
    if isinstance(where, str) and where == "auto":
        found = detect_blocks(Dataflow(without_excitations(graph)))
        if not found:
            raise ValueError(
                "No residual blocks, modules or stages were detected: where must name layers of this model. "
                f"Received: where='auto' for {model.name!r}"
            )
        # The same calls in the original graph: without excitations, calls can read other tensors.
        wanted = {(call.path, call.index) for call in found}
        found = [call for call in dataflow.calls if (call.path, call.index) in wanted]
    else:
        found = _named(dataflow.calls, where)
    return _unique([_place(dataflow, call) for call in found])


def _check_plain(dataflow: Dataflow) -> None:
    blocks = [call.path for call in dataflow.calls if isinstance(call.layer, EXCITATIONS)]
    blocks += [product.path for product, _, _ in excitations(dataflow)]
    if blocks:
        raise ValueError(
            "The model has squeeze-and-excitation already. Use force=True (--more-se) to insert more. "
            f"Received: a model with {counted(len(blocks), 'block')}, the first at {blocks[0]!r}"
        )


def _named(calls: list[Call], where: Where) -> list[Call]:
    if isinstance(where, str) or (isinstance(where, Sequence) and where and all(isinstance(x, str) for x in where)):
        paths = [call.path for call in calls]
        found = set(select("where", where, paths, "layers that the model calls, not its inputs or nested models"))
        return [call for call in calls if call.path in found]
    if not callable(where) or isinstance(where, keras.layers.Layer | type):
        raise ValueError(
            'where must be "auto", a regular expression for whole names of layers, a list of names, or a function '
            f"from a layer to a bool. Received: where={where!r}"
        )
    asked = [call for call in calls if isinstance(call.layer, keras.layers.Layer) and where(call.layer)]
    if not asked:
        raise ValueError(f"where must be true for at least one layer. Received: {where!r}, which is true for none")
    return asked


def _place(dataflow: Dataflow, call: Call) -> Place:
    order = data_format(dataflow, call)
    shape = call.outputs[0] if is_map(call) else ()
    channels = shape[1 if order == "channels_first" else -1] if shape else None
    if channels is None:
        raise ValueError(
            "SE requires layers that return one map of 3 to 5 axes, the batch included, with a known number of "
            f"channels. Received: {call.path!r}, which returns {', '.join(map(str, call.outputs)) or 'nothing'}"
        )
    # A layer without weights, such as one ReLU object, can be called in many places that share nothing.
    index = None if getattr(call.layer, "weights", ()) else call.index
    return Place(call.path, index, shape, channels, order, dtype_policy(dataflow, call))


def _unique(found: list[Place]) -> list[Place]:
    unique: dict[Any, Place] = {}
    for place in found:
        first = unique.setdefault((place.path, place.index), place)
        if first.channels != place.channels:
            raise ValueError(
                "A layer that is called several times gets one SE layer, so every call must return the same number of "
                "channels. "
                f"Received: {place.path!r}, which returns {first.channels} and {place.channels} channels"
            )
    return list(unique.values())
