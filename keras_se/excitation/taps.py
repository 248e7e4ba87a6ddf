"""Computes the gates of SE blocks again, from the inputs of the blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_se.graph.activations import probe
from keras_se.graph.walk import has_graph, nodes_of
from keras_se.layers import EXCITATIONS, ConcurrentSqueezeExcite
from keras_se.layers.base import accumulation_dtype


@dataclass(frozen=True)
class Stop:
    """A call of a block, or of one of its parts.

    Attributes:
        layer: The block.
        block: The path of the block: its name, after those of the models that it is nested in.
        path: The path of the layer that computes the gates: the block or a part of it.
        part: That layer.
        masked: Whether it is called with a mask.
    """

    layer: Any
    block: str
    path: str
    part: Any
    masked: bool


class Tap:
    """Computes a model as far as its blocks, and its nested models likewise.

    Attributes:
        stops: The calls of blocks, those of nested models included, in the order of the layers.
        unseen: The paths of blocks with calls whose arguments the graph does not show.
    """

    def __init__(self, model: keras.Model, above: str = ""):
        self.stops: list[Stop] = []
        self.unseen: list[str] = []
        self._steps: list[tuple[list[int], Any]] = []  # indices of input tensors, and the tap or stop
        self._tensors: list[Any] = []
        for layer in model.layers:
            path = f"{above}{layer.name}"
            for call in nodes_of(layer, model):
                if has_graph(layer):
                    self._add_model(layer, path, call)
                elif isinstance(layer, EXCITATIONS):
                    self._add_block(layer, path, call)
        self._values = probe(model, self._tensors) if self._tensors else lambda columns: []

    def gates(self, columns: Sequence[Any], *, maps: bool) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """For each stop, the gates and, with `maps`, the map that they scale, channels last."""
        values = self._values(columns)
        found: list[tuple[np.ndarray, np.ndarray | None]] = []
        for numbers, stop in self._steps:
            if isinstance(stop, Tap):
                found += stop.gates([values[number] for number in numbers], maps=maps)
                continue
            given = [values[number] for number in numbers]
            axis = stop.part.channel_axis(len(given[0].shape))
            found.append(
                (_array(stop.part.excitation(*given)), np.moveaxis(_array(given[0]), axis, -1) if maps else None)
            )
        return found

    def _add_model(self, model: Any, path: str, call: Any) -> None:
        tap = Tap(model, f"{path}/")
        if len(call.input_tensors) > len(model.inputs):
            # A mask that comes with the inputs reaches blocks, but the graph of their model does not show it.
            self.unseen += [*dict.fromkeys(stop.block for stop in tap.stops), *tap.unseen]
            return
        self.stops += tap.stops
        self.unseen += tap.unseen
        self._steps.append((self._numbers(call.input_tensors), tap))

    def _add_block(self, layer: Any, path: str, call: Any) -> None:
        masks = [mask for mask in (*call.arguments.args[1:], call.arguments.kwargs.get("mask")) if mask is not None]
        if any(not isinstance(mask, keras.KerasTensor) for mask in masks):  # an array, of another batch
            self.unseen.append(path)
            return
        numbers = self._numbers(call.input_tensors)
        for part_path, part, takes_mask in _parts(layer, path):
            read = numbers if takes_mask else numbers[:1]
            stop = Stop(layer, path, part_path, part, masked=len(read) > 1)
            self.stops.append(stop)
            self._steps.append((read, stop))

    def _numbers(self, tensors: Sequence[Any]) -> list[int]:
        self._tensors += tensors
        return list(range(len(self._tensors) - len(tensors), len(self._tensors)))


def _parts(layer: Any, path: str) -> list[tuple[str, Any, bool]]:
    """The path of each layer that computes gates of a block, the layer, and whether it uses a mask."""
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return [(path, layer, True)]
    return [(f"{path}/channel", layer.channel, True), (f"{path}/spatial", layer.spatial, False)]


def _array(tensor: Any) -> np.ndarray:
    """In float32: NumPy has no bfloat16, and sums in float16 lose precision."""
    dtype = accumulation_dtype(keras.backend.standardize_dtype(tensor.dtype))
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, dtype))
