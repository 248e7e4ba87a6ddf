"""Finds the inputs of a model's blocks, and computes the blocks' gates from them."""

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
class BlockCall:
    """A call of a block, or of one of its parts.

    Attributes:
        layer: The block.
        block: The path of the block: its name, after the names of the models that contain it.
        path: The path of the layer that computes the gates: the block or a part of it.
        part: The layer that computes the gates.
        masked: Whether the call receives a mask.
    """

    layer: Any
    block: str
    path: str
    part: Any
    masked: bool


class Tap:
    """Computes a model up to its blocks, including those in models inside it.

    Attributes:
        calls: The calls of blocks in the order of the layers, including those in models inside the model.
        unseen: The paths of blocks whose inputs cannot be computed from the graph.
    """

    def __init__(self, model: keras.Model, above: str = ""):
        self.calls: list[BlockCall] = []
        self.unseen: list[str] = []
        self._steps: list[tuple[list[int], Any]] = []  # the inputs of a tap or of a part of a block
        self._tensors: list[Any] = []
        for layer in model.layers:
            path = f"{above}{layer.name}"
            for node in nodes_of(layer, model):
                if has_graph(layer):
                    self._add_model(layer, path, node)
                elif isinstance(layer, EXCITATIONS):
                    self._add_block(layer, path, node)
        self._values = probe(model, self._tensors) if self._tensors else lambda columns: []

    def gates(self, columns: Sequence[Any], *, maps: bool) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """For each call of a block, the gates and, if requested, the input of the block, channels last."""
        values = self._values(columns)
        found: list[tuple[np.ndarray, np.ndarray | None]] = []
        for numbers, step in self._steps:
            given = [values[number] for number in numbers]
            if isinstance(step, Tap):
                found += step.gates(given, maps=maps)
                continue
            axis = step.part.channel_axis(len(given[0].shape))
            found.append(
                (_array(step.part.excitation(*given)), np.moveaxis(_array(given[0]), axis, -1) if maps else None)
            )
        return found

    def _add_model(self, model: Any, path: str, node: Any) -> None:
        tap = Tap(model, f"{path}/")
        if len(node.input_tensors) > len(model.inputs):
            # The inner layers receive the mask of the inputs, but it is not part of the inner model's graph.
            self.unseen += [*dict.fromkeys(call.block for call in tap.calls), *tap.unseen]
            return
        self.calls += tap.calls
        self.unseen += tap.unseen
        self._steps.append((self._numbers(node.input_tensors), tap))

    def _add_block(self, layer: Any, path: str, node: Any) -> None:
        masks = [mask for mask in (*node.arguments.args[1:], node.arguments.kwargs.get("mask")) if mask is not None]
        if any(not isinstance(mask, keras.KerasTensor) for mask in masks):  # an array of the original call's batch
            self.unseen.append(path)
            return
        numbers = self._numbers(node.input_tensors)
        for part_path, part, takes_mask in _parts(layer, path):
            inputs = numbers if takes_mask else numbers[:1]
            call = BlockCall(layer, path, part_path, part, masked=len(inputs) > 1)
            self.calls.append(call)
            self._steps.append((inputs, call))

    def _numbers(self, tensors: Sequence[Any]) -> list[int]:
        self._tensors += tensors
        return list(range(len(self._tensors) - len(tensors), len(self._tensors)))


def _parts(layer: Any, path: str) -> list[tuple[str, Any, bool]]:
    """The layers that compute the gates of a block, with their paths, and whether they use a mask."""
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return [(path, layer, True)]
    return [(f"{path}/channel", layer.channel, True), (f"{path}/spatial", layer.spatial, False)]


def _array(tensor: Any) -> np.ndarray:
    """As float32: NumPy has no bfloat16, and sums over float16 are inexact."""
    dtype = accumulation_dtype(keras.backend.standardize_dtype(tensor.dtype))
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, dtype))
