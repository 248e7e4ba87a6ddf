"""Dataflow analysis: which call produces and reads each tensor, dominators, and SE that is spelled out in layers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import keras

from keras_se.graph.layer_predicates import convolves, is_keras, pools_globally
from keras_se.graph.walk import Call, Flow

T = TypeVar("T")
ROOT = -1


class Dataflow:
    """The producer, the readers and the immediate dominator of each tensor of a graph. Tensors are numbers."""

    def __init__(self, flow: Flow):
        self.calls = flow.calls
        self.returned = frozenset(flow.outputs)
        self.producer = {tensor: call for call in flow.calls for tensor in call.makes}
        self.position = {id(call): i for i, call in enumerate(flow.calls)}
        self.readers: dict[int, list[Call]] = {}
        for call in flow.calls:
            for tensor in dict.fromkeys(call.reads):
                self.readers.setdefault(tensor, []).append(call)
        self._dominator = dict.fromkeys(flow.inputs, ROOT)
        self._depth = {ROOT: 0, **dict.fromkeys(flow.inputs, 1)}
        for call in flow.calls:
            dominator = self.dominator(call.reads) if call.reads else ROOT
            for tensor in call.makes:
                self._dominator[tensor], self._depth[tensor] = dominator, self._depth[dominator] + 1

    def dominator(self, tensors: Sequence[int]) -> int:
        """The last tensor that lies on every path from the inputs to each of these, or `ROOT`."""
        found, *others = tensors
        for other in others:
            while found != other:
                if self._depth[found] < self._depth[other]:
                    other = self._dominator[other]
                else:
                    found = self._dominator[found]
        return found

    def between(self, start: int, tensors: Sequence[int]) -> list[Call]:
        """The calls on all paths from a tensor to others, in the order of computation."""
        found: dict[int, Call] = {}
        waiting = [tensor for tensor in tensors if tensor != start]
        while waiting:
            call = self.producer.get(waiting.pop())
            if call is not None and id(call) not in found:
                found[id(call)] = call
                waiting += [tensor for tensor in call.reads if tensor != start]
        return sorted(found.values(), key=lambda call: self.position[id(call)])

    def depths(self, start: int, tensors: Sequence[int]) -> list[int]:
        """The number of convolutions on the longest path from a tensor to each of others."""
        depths = {start: 0}
        for call in self.between(start, tensors):
            deepest = max((depths.get(tensor, 0) for tensor in call.reads), default=0)
            for tensor in call.makes:
                depths[tensor] = deepest + convolves(call.layer)
        return [depths.get(tensor, 0) for tensor in tensors]

    def only_reader(self, tensor: int) -> Call | None:
        """The only call that reads a tensor which the model does not return, if it has no other input or output."""
        readers = self.readers.get(tensor, [])
        alone = len(readers) == 1 and len(readers[0].reads) == 1 and tensor not in self.returned
        return readers[0] if alone and len(readers[0].makes) == 1 else None

    def chain_behind(self, tensor: int, accepts: Callable[[Any], bool]) -> Iterator[Call]:
        """The calls behind a tensor, each the only reader of the one before, as long as their layers are accepted."""
        while (call := self.only_reader(tensor)) is not None and accepts(call.layer):
            yield call
            tensor = call.makes[0]

    def nearest(self, call: Call, value_of: Callable[[Any], T | None]) -> T | None:
        """The first value that is not `None`, of the layer of a call, of those before it, and of those behind it."""
        for neighbours in (self._before, self._behind):
            seen, waiting = {id(call)}, [call]
            while waiting:
                current = waiting.pop(0)
                if (value := value_of(current.layer)) is not None:
                    return value
                new = [other for other in neighbours(current) if id(other) not in seen]
                seen |= {id(other) for other in new}
                waiting += new
        return None

    def _before(self, call: Call) -> list[Call]:
        return [self.producer[tensor] for tensor in call.reads if tensor in self.producer]

    def _behind(self, call: Call) -> list[Call]:
        return [reader for tensor in call.makes for reader in self.readers.get(tensor, [])]


def is_map(call: Call) -> bool:
    """Whether a call returns one map of 3 to 5 axes, the batch included."""
    return len(call.outputs) == 1 and len(call.outputs[0]) in (3, 4, 5)


def excitations(dataflow: Dataflow) -> list[tuple[Call, int, list[Call]]]:
    """SE blocks that are spelled out in layers: the product, the map that is scaled, and the calls that make the gates.

    The gates of a map are computed from a global pooling of the map itself, with weights.
    """
    found = []
    for product in dataflow.calls:
        if not is_keras(product.layer, "Multiply") or len(product.reads) != 2:
            continue
        for tensor, gate in (product.reads, product.reads[::-1]):
            path = _path_to_gates(dataflow, tensor, gate)
            if path and any(convolves(call.layer) for call in path):
                found.append((product, tensor, path))
                break
    return found


def _path_to_gates(dataflow: Dataflow, tensor: int, gate: int) -> list[Call]:
    path: list[Call] = []
    while (call := dataflow.producer.get(gate)) is not None and len(call.reads) == 1:
        path.append(call)
        if call.reads[0] == tensor:
            return path if pools_globally(call) else []
        gate = call.reads[0]
    return []


def without_excitations(flow: Flow) -> Flow:
    """The graph without spelled-out SE, so that blocks are recognised with SE in them, too."""
    blocks = excitations(Dataflow(flow))
    gates = {id(call) for _, _, path in blocks for call in path}
    products = {id(product): tensor for product, tensor, _ in blocks}
    passed: dict[int, int] = {}
    calls = []
    for call in flow.calls:
        if id(call) in products:
            tensor = products[id(call)]
            passed[call.makes[0]] = passed.get(tensor, tensor)
        elif id(call) not in gates:
            calls.append(replace(call, reads=tuple(passed.get(tensor, tensor) for tensor in call.reads)))
    return Flow(calls, flow.inputs, tuple(passed.get(tensor, tensor) for tensor in flow.outputs))


def data_format(dataflow: Dataflow, call: Call) -> str:
    """The data format of the nearest layer that has one."""
    formats = ("channels_first", "channels_last")

    def value_of(layer: Any) -> str | None:
        value = getattr(layer, "data_format", None)
        return value if value in formats else None

    return dataflow.nearest(call, value_of) or keras.config.image_data_format()


def dtype_policy(dataflow: Dataflow, call: Call) -> Any:
    """The dtype policy of the nearest layer: operations of `keras.ops` have none."""
    return dataflow.nearest(call, lambda layer: getattr(layer, "dtype_policy", None)) or keras.config.dtype_policy()
