"""Edits of a model's graph, collected and applied in one clone. The model itself is never changed.

edits = GraphEdits(model).apply(remove_identities, fold_batch_norm)
model = edits.result()
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Optional

import keras
import numpy as np

from keras_se.graph.copy_layers import cloned, copied, copy_weights
from keras_se.graph.keras_private import Node, nodes
from keras_se.graph.walk import has_graph

Weights = Sequence[np.ndarray]
# Looks at one graph and records edits of it.
Pass = Callable[["GraphEdits"], None]


class GraphEdits:
    """A model's graph as edited so far, and the edits of each nested model that has a graph.

    All answers are about the edited graph: replaced layers are seen as their replacements, with the new weights, and
    dropped layers are looked through. Layers are found by their names, which a replacement keeps.

    Args:
        model: A functional or Sequential model.
        data: Inputs, an array for each of the model's inputs, for passes that depend on data. Nested models have none.
        parent: The edits of the model that this one is nested in.

    Attributes:
        nested: The edits of nested models, by name.
        in_training: Whether this model, or one around it, is called with `training=True`.
        notes: Notes of passes for the user, shared with nested models.
    """

    def __init__(self, model: keras.Model, data: Weights | None = None, parent: Optional["GraphEdits"] = None):
        self.model, self.data = model, data
        called_in_training = parent is not None and any(map(asks_training, parent.calls(model)))
        self.in_training: bool = called_in_training or (parent is not None and parent.in_training)
        self.notes: list[str] = [] if parent is None else parent.notes
        self._calls: dict[str, list[Node]] = {}
        self._replacements: dict[str, Any] = {}
        self._weights: dict[str, Weights] = {}
        self._dropped: set[str] = set()
        self._beside: dict[str, str] = {}
        self._behind: dict[tuple[str, int | None], Any] = {}
        self._makers: dict[int, Node] = {}
        self._readers: dict[int, list[Node]] = {}
        for node in nodes(model):
            self._calls.setdefault(node.operation.name, []).append(node)
            self._makers.update((id(tensor), node) for tensor in node.output_tensors)
            for tensor in node.input_tensors:
                self._readers.setdefault(id(tensor), []).append(node)
        self.nested = {x.name: GraphEdits(x, parent=self) for x in model.layers if has_graph(x)}

    def apply(self, *passes: Pass) -> "GraphEdits":
        """Runs passes one after the other, each on nested models first."""
        for one in passes:
            for nested in self.nested.values():
                nested.apply(one)
            one(self)
        return self

    def around(self, path: str) -> "GraphEdits":
        """The edits of the model that has a layer of this path."""
        level = self
        for name in path.split("/")[:-1]:
            level = level.nested[name]
        return level

    # The edited graph

    @property
    def layers(self) -> list[Any]:
        return [self._current(layer) for layer in self.model.layers if layer.name not in self._dropped]

    def calls(self, layer: Any) -> list[Node]:
        """The calls of a layer in the graph, as they were recorded before any edit."""
        return self._calls.get(layer.name, [])

    def called_once(self) -> list[Any]:
        return [layer for layer in self.layers if len(self.calls(layer)) == 1]

    def only_reader(self, layer: Any) -> Any:
        """The only reader of the output of a layer that is called once; `None` if the model returns the output, too."""
        if not isinstance(layer, keras.layers.Layer) or len(calls := self.calls(layer)) != 1:
            return None
        outputs = calls[0].output_tensors
        readers = [reader for x in outputs for reader in self.readers(x)]
        only = len(readers) == 1 and not any(map(self.returns, outputs))
        return self._current(readers[0].operation) if only else None

    def producer(self, tensor: Any) -> Any:
        """The layer or operation that a tensor is an output of."""
        return self._current(self._makers[id(self._source(tensor))].operation)

    def readers(self, tensor: Any) -> list[Node]:
        """The calls that read a tensor; one that reads it twice is listed twice."""
        found: list[Node] = []
        for node in self._readers.get(id(tensor), []):
            dropped = node.operation.name in self._dropped
            found += self.readers(node.output_tensors[0]) if dropped else [node]
        return found

    def returns(self, tensor: Any) -> bool:
        """Whether a tensor is an output of the model."""
        return any(self._source(output) is tensor for output in self.model.outputs)

    def weights(self, layer: Any) -> list[np.ndarray]:
        """The weights of a layer in float64: new ones as the layer stores them, in its own precision."""
        values: Any = layer.weights
        if layer.name in self._weights:
            values = [keras.ops.convert_to_tensor(x, layer.variable_dtype) for x in self._weights[layer.name]]
        return [keras.ops.convert_to_numpy(value).astype("float64") for value in values]

    def _current(self, operation: Any) -> Any:
        return self._replacements.get(operation.name, operation)

    def _source(self, tensor: Any) -> Any:
        node = self._makers[id(tensor)]
        return self._source(node.input_tensors[0]) if node.operation.name in self._dropped else tensor

    # The edits

    def replace(self, layer: Any, new: Any, weights: Weights | None = None, beside: Any = None) -> None:
        """Puts a new layer in the place of one, under its name.

        Args:
            layer: The layer.
            new: The new layer, not built yet.
            weights: Its weights.
            beside: A layer that is called once, before this one: the new layer is called with two inputs, of which
                that layer's input is the first.
        """
        self._replacements[layer.name] = new
        if weights is not None:
            self._weights[layer.name] = weights
        if beside is not None:
            self._beside[layer.name] = beside.name
            (read,), (reader,) = self.calls(beside)[0].input_tensors, self.calls(new)
            self._readers[id(self._source(read))].append(reader)

    def set_weights(self, layer: Any, weights: Weights) -> None:
        self._weights[layer.name] = weights

    def drop(self, layer: Any) -> None:
        """Takes a layer out: what read its output reads its first input."""
        self._dropped.add(layer.name)
        self._weights.pop(layer.name, None)

    def add_behind(self, name: str, index: int | None, layer: Any) -> None:
        """Puts a layer behind another's call of this index, or with `None` behind all its calls."""
        self._behind[name, index] = layer

    def result(self) -> keras.Model:
        """The edited model, or the model itself if there are no edits."""
        return self.clone() if self._edited else self.model

    @property
    def _edited(self) -> bool:
        recorded = (self._replacements, self._weights, self._dropped, self._behind)
        return any(recorded) or any(level._edited for level in self.nested.values())

    def clone(self) -> keras.Model:
        """A copy of the model, with the edits."""
        copies: dict[str, tuple[Any, Any]] = {}
        counts: Counter[str] = Counter()
        shared: dict[str, Any] = {}  # first inputs of layers whose input another layer reads, too

        def clone_layer(layer: Any) -> Any:
            name = layer.name
            if name in self._dropped:
                return layer  # which is not called
            if name in self._replacements:
                return self._replacements[name]
            if name in self.nested and self.nested[name]._edited:
                return self.nested[name].clone()
            copy = copied(layer)
            copy.name = name  # a get_config() can omit it
            if isinstance(layer, keras.layers.Layer):  # and not an operation of keras.ops, which has no weights
                copies[name] = layer, copy
            return copy

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            name, first = layer.name, keras.tree.flatten((args, kwargs))[0]
            if name in self._dropped:
                return first
            if name in self._beside.values():
                shared[name] = first
            outputs = layer([shared[self._beside[name]], first]) if name in self._beside else layer(*args, **kwargs)
            new = self._behind.get((name, counts[name]), self._behind.get((name, None)))
            counts[name] += 1
            return outputs if new is None else new(outputs)

        model = self.model
        if isinstance(model, keras.Sequential):
            model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        result = cloned(model, clone_function=clone_layer, call_function=call)
        for layer, copy in copies.values():
            copy_weights(layer, copy)
        for name, weights in self._weights.items():
            new = self._replacements[name] if name in self._replacements else copies[name][1]
            new.set_weights(list(weights))
        return result


def asks_training(node: Node) -> bool:
    """Whether a call asks for training behaviour, however its model is called."""
    return bool(node.arguments.kwargs.get("training"))
