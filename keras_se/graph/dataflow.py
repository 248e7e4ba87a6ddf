"""What blocks a network is made of, read off its graph: where squeeze-and-excitation belongs in it, and where it is."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras

from keras_se.graph import layer_predicates as kinds
from keras_se.graph.walk import Call, Flow

T = TypeVar("T")
ROOT = -1


class Structure:
    """Who makes and who reads each tensor of a graph, and through which tensors every way to it leads.

    Tensors are numbers; a call is what makes them.
    """

    def __init__(self, flow: Flow):
        self.calls = flow.calls
        self.returned = frozenset(flow.outputs)
        self.maker = {tensor: call for call in flow.calls for tensor in call.makes}
        self.position = {id(call): i for i, call in enumerate(flow.calls)}
        self.readers: dict[int, list[Call]] = {}
        for call in flow.calls:
            for tensor in dict.fromkeys(call.reads):
                self.readers.setdefault(tensor, []).append(call)
        self._dominator = dict.fromkeys(flow.inputs, ROOT)
        self._depth = {ROOT: 0, **dict.fromkeys(flow.inputs, 1)}
        for call in flow.calls:
            fork = self.fork(call.reads) if call.reads else ROOT
            for tensor in call.makes:
                self._dominator[tensor], self._depth[tensor] = fork, self._depth[fork] + 1

    def fork(self, tensors: Sequence[int]) -> int:
        """The last tensor that every way from the inputs to these leads through, or `ROOT`."""
        found, *others = tensors
        for other in others:
            while found != other:
                if self._depth[found] < self._depth[other]:
                    other = self._dominator[other]
                else:
                    found = self._dominator[found]
        return found

    def between(self, fork: int, tensors: Sequence[int]) -> list[Call]:
        """The calls on the ways from a fork to tensors, in their order."""
        found: dict[int, Call] = {}
        waiting = [tensor for tensor in tensors if tensor != fork]
        while waiting:
            call = self.maker.get(waiting.pop())
            if call is not None and id(call) not in found:
                found[id(call)] = call
                waiting += [tensor for tensor in call.reads if tensor != fork]
        return sorted(found.values(), key=lambda call: self.position[id(call)])

    def lengths(self, fork: int, tensors: Sequence[int]) -> list[int]:
        """How many convolutions lie one after the other on the longest way from a fork to each tensor."""
        lengths = {fork: 0}
        for call in self.between(fork, tensors):
            longest = max((lengths.get(tensor, 0) for tensor in call.reads), default=0)
            for tensor in call.makes:
                lengths[tensor] = longest + kinds.convolves(call.layer)
        return [lengths.get(tensor, 0) for tensor in tensors]

    def reader(self, tensor: int) -> Call | None:
        """The one call that reads a tensor, if it is one, reads nothing else, and the model does not return it."""
        readers = self.readers.get(tensor, [])
        alone = len(readers) == 1 and len(readers[0].reads) == 1 and tensor not in self.returned
        return readers[0] if alone and len(readers[0].makes) == 1 else None

    def follow(self, tensor: int, wanted: Callable[[Any], bool]) -> Iterator[Call]:
        """The calls behind a tensor, one after the other, as long as they are wanted and each is the only reader."""
        while (call := self.reader(tensor)) is not None and wanted(call.layer):
            yield call
            tensor = call.makes[0]

    def nearest(self, call: Call, tell: Callable[[Any], T | None]) -> T | None:
        """What the nearest layer tells, of the call itself, those before it, and those behind it."""
        for neighbours in (self._before, self._behind):
            seen, waiting = {id(call)}, [call]
            while waiting:
                current = waiting.pop(0)
                if (told := tell(current.layer)) is not None:
                    return told
                new = [other for other in neighbours(current) if id(other) not in seen]
                seen |= {id(other) for other in new}
                waiting += new
        return None

    def _before(self, call: Call) -> list[Call]:
        return [self.maker[tensor] for tensor in call.reads if tensor in self.maker]

    def _behind(self, call: Call) -> list[Call]:
        return [reader for tensor in call.makes for reader in self.readers.get(tensor, [])]


def is_map(call: Call) -> bool:
    """Whether a call returns one map of 3 to 5 axes, the batch included."""
    return len(call.outputs) == 1 and len(call.outputs[0]) in (3, 4, 5)


def excited(structure: Structure) -> list[tuple[Call, int, list[Call]]]:
    """The squeeze-and-excitation that a network has, spelled out in layers: the product, the map, and the gates' calls.

    A map is multiplied by what was computed of a global pooling of itself, with weights on the way.
    """
    found = []
    for product in structure.calls:
        if not kinds.named(product.layer, "Multiply") or len(product.reads) != 2:
            continue
        for tensor, gate in (product.reads, product.reads[::-1]):
            path = _squeezed(structure, tensor, gate)
            if path and any(kinds.convolves(call.layer) for call in path):
                found.append((product, tensor, path))
                break
    return found


def _squeezed(structure: Structure, tensor: int, gate: int) -> list[Call]:
    path: list[Call] = []
    while (call := structure.maker.get(gate)) is not None and len(call.reads) == 1:
        path.append(call)
        if call.reads[0] == tensor:
            return path if kinds.pools_globally(call) else []
        gate = call.reads[0]
    return []


def without_excitations(flow: Flow) -> Flow:
    """The graph in which what is multiplied by gates is passed on, so that blocks with them are seen as blocks."""
    blocks = excited(Structure(flow))
    gates = {id(call) for _, _, path in blocks for call in path}
    products = {id(product): tensor for product, tensor, _ in blocks}
    passed: dict[int, int] = {}
    calls = []
    for call in flow.calls:
        if id(call) in products:
            tensor = products[id(call)]
            passed[call.makes[0]] = passed.get(tensor, tensor)
        elif id(call) not in gates:
            reads = tuple(passed.get(tensor, tensor) for tensor in call.reads)
            calls.append(
                Call(call.layer, call.path, call.inputs, call.outputs, call.index, reads, call.makes)
                if reads != call.reads
                else call
            )
    return Flow(calls, flow.inputs, tuple(passed.get(tensor, tensor) for tensor in flow.outputs))


def data_format(structure: Structure, call: Call) -> str:
    """The data format of a call, as the nearest layer that has one tells."""
    formats = ("channels_first", "channels_last")

    def tell(layer: Any) -> str | None:
        own = getattr(layer, "data_format", None)
        return own if own in formats else None

    return structure.nearest(call, tell) or keras.config.image_data_format()


def dtype_policy(structure: Structure, call: Call) -> Any:
    """The policy of a call; an operation of `keras.ops` has that of the nearest layer."""
    return structure.nearest(call, lambda layer: getattr(layer, "dtype_policy", None)) or keras.config.dtype_policy()
