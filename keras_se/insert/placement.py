"""After which calls of a model SE is put: those that a user names, or those that the structure of its graph tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_se.graph.dataflow import Structure, data_format, dtype_policy, excited, is_map, without_excitations
from keras_se.graph.select import select
from keras_se.graph.walk import Call, Shape, flow, has_graph
from keras_se.insert.detect_blocks import recognised
from keras_se.layers import EXCITATIONS

Where = str | Sequence[str] | Callable[[Any], bool]


@dataclass(frozen=True)
class Place:
    """A place for SE: behind a layer.

    Attributes:
        path: The layer's name, after those of the models that it is nested in.
        index: Which call of the layer it is behind, from 0; `None` for all of them, of a layer that has weights.
        shape: Of the layer's output, the batch included.
        channels: Of these.
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
    """The places that `where` means, in the order of the graph.

    Raises:
        ValueError: for a model without a graph, one that has SE and is not forced, or a `where` that means nothing.
    """
    _check_graph(model)
    graph = flow(model)
    structure = Structure(graph)
    if not force:
        _check_plain(structure)
    if isinstance(where, str) and where == "auto":
        found = recognised(Structure(without_excitations(graph)))
        if not found:
            raise ValueError(
                "No residual blocks, modules or stages were recognised: where must name layers of this model. "
                f"Received: where='auto' for {model.name!r}"
            )
        # Its own, not those of the graph without excitations, which read other tensors.
        wanted = {(call.path, call.index) for call in found}
        found = [call for call in structure.calls if (call.path, call.index) in wanted]
    else:
        found = _named(structure.calls, where)
    return _unique([_place(structure, call) for call in found])


def _check_graph(model: Any) -> None:
    if not has_graph(model) and not isinstance(model, keras.Sequential):
        raise ValueError(
            "SE is put between the layers of a graph, and a model whose call() is Python code has none: make a "
            "functional one of it, keras.Model(x, model.call(x)) with x = keras.Input(shape). "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )


def _check_plain(structure: Structure) -> None:
    own = [call.path for call in structure.calls if isinstance(call.layer, EXCITATIONS)]
    own += [product.path for product, _, _ in excited(structure)]
    if own:
        raise ValueError(
            "The model has squeeze-and-excitation already, and gets more of it only with force=True (--more-se). "
            f"Received: {len(own)} block{'s' if len(own) > 1 else ''} in it, the first at {own[0]!r}"
        )


def _named(calls: list[Call], where: Where) -> list[Call]:
    if isinstance(where, str) or (isinstance(where, Sequence) and where and all(isinstance(x, str) for x in where)):
        paths = [call.path for call in calls]
        found = set(select("where", where, paths, "layers that the model calls, not its inputs or models within"))
        return [call for call in calls if call.path in found]
    if not callable(where) or isinstance(where, keras.layers.Layer | type):
        raise ValueError(
            'where must be "auto", a regular expression for whole names of layers, a list of names, or a function '
            f"from a layer to a bool. Received: where={where!r}"
        )
    asked = [call for call in calls if isinstance(call.layer, keras.layers.Layer) and where(call.layer)]
    if not asked:
        raise ValueError(f"where must be true for a layer at least. Received: {where!r}, true for none")
    return asked


def _place(structure: Structure, call: Call) -> Place:
    order = data_format(structure, call)
    shape = call.outputs[0] if is_map(call) else ()
    channels = shape[1 if order == "channels_first" else -1] if shape else None
    if channels is None:
        raise ValueError(
            "SE goes behind layers that return one map of 3 to 5 axes, the batch included, with a known number of "
            f"channels. Received: {call.path!r}, which returns {', '.join(map(str, call.outputs)) or 'nothing'}"
        )
    # A layer without weights that is called again is not shared: it is one ReLU object for many places.
    index = None if getattr(call.layer, "weights", ()) else call.index
    return Place(call.path, index, shape, channels, order, dtype_policy(structure, call))


def _unique(found: list[Place]) -> list[Place]:
    unique: dict[Any, Place] = {}
    for place in found:
        first = unique.setdefault((place.path, place.index), place)
        if first.channels != place.channels:
            raise ValueError(
                "A layer that is called several times gets one SE layer, for one number of channels. "
                f"Received: {place.path!r}, which returns {first.channels} and {place.channels} channels"
            )
    return list(unique.values())
