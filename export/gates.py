"""The gates of SE blocks: what Keras computes, and what a TFLite file does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_se.constant_gates import inner_values
from keras_se.export.calibration import batches
from keras_se.export.inference import InferenceModel
from keras_se.export.layer_names import EXCITATIONS, LayerNames, within
from keras_se.export.tensor_values import TensorValues
from keras_se.export.tflite import Runner
from keras_se.layers import ConcurrentSqueezeExcite
from keras_se.rewrite import called_once, calls, has_graph


@dataclass(frozen=True)
class Gates:
    """The gates of a block.

    Attributes:
        path: The layer's name, after those of the models and layers that it is inside of: `backbone/stage1_se`.
        kind: Its class.
        values: (samples, channels), or (samples, *spatial) of gates of positions.
    """

    path: str
    kind: str
    values: np.ndarray


def keras_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> list[Gates]:
    """The gates of every SE block that is called once and gets no mask, in the order of the layers.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_se import SqueezeExcite
    >>> from keras_se.export.gates import keras_gates
    >>> model = keras.Sequential([keras.Input((4, 4, 8)), SqueezeExcite(2, name="se")])
    >>> [(gates.path, gates.values.shape) for gates in keras_gates(model, [np.ones((3, 4, 4, 8), "float32")])]
    [('se', (3, 8))]

    Args:
        model: The model; models inside it are looked into.
        columns: An array for each of its inputs, samples first.
    """
    found: list[Gates] = []
    blocks: dict[Any, Any] = {}
    for layer in called_once(model):
        inputs = list(calls(layer, model)[0].input_tensors)
        if has_graph(layer):
            inner = inner_values(model, inputs, columns)
            inside = keras_gates(layer, [np.concatenate(column) for column in zip(*inner, strict=True)])
            found += [Gates(f"{layer.name}/{gates.path}", gates.kind, gates.values) for gates in inside]
        elif isinstance(layer, EXCITATIONS) and len(inputs) == 1:  # with a mask, there are two
            blocks[layer] = inputs[0]
    return found + (_of_blocks(model, blocks, columns) if blocks else [])


def _of_blocks(model: keras.Model, blocks: Mapping[Any, Any], columns: Sequence[np.ndarray]) -> list[Gates]:
    values: dict[tuple[str, str], list[np.ndarray]] = {}
    for maps in inner_values(model, list(blocks.values()), columns):
        for layer, x in zip(blocks, maps, strict=True):
            for path, part in _parts(layer).items():
                gates = keras.ops.convert_to_numpy(part.excitation(x))
                values.setdefault((path, type(part).__name__), []).append(gates)
    return [Gates(path, kind, np.concatenate(found)) for (path, kind), found in values.items()]


def _parts(layer: Any) -> dict[str, Any]:
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return {layer.name: layer}
    return {f"{layer.name}/{part.name}": part for part in (layer.channel, layer.spatial)}


def file_gates(
    path: Path, model: InferenceModel, wanted: Sequence[Gates], feeds: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The gates that a TFLite file computes, as real numbers, by path, in the shapes of those wanted.

    Those that cannot be found are left out: gates that the export made constants, for one.

    Args:
        path: The file.
        model: What it was exported from.
        wanted: Gates as Keras computes them.
        feeds: Inputs by name, as the model takes them.
    """
    values = TensorValues(path.read_bytes())
    owners = LayerNames(model).of_operations(values.graph)
    tensors = {gates.path: index for gates in wanted if (index := _tensor(values, owners, gates)) is not None}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    for batch in batches(Runner(path).stored(feeds), values.batch):
        computed = values.run(batch)
        for name, index in tensors.items():
            parts[name].append(computed[index])
    samples = len(next(iter(feeds.values())))
    shapes = {gates.path: gates.values.shape[1:] for gates in wanted}
    return {name: np.concatenate(found)[:samples].reshape(samples, *shapes[name]) for name, found in parts.items()}


def _tensor(values: TensorValues, owners: list[tuple[str, ...]], gates: Gates) -> int | None:
    """The tensor of a block that its map is multiplied by: the last of its products has it."""
    graph, block = values.graph, frozenset([gates.path])
    inside = [
        operation
        for operation, paths in zip(graph.operations, owners, strict=True)
        if any(within(path, block) for path in paths)
    ]
    made = {index for operation in inside for index in operation.outputs}
    found = [
        index
        for operation in inside
        if operation.name == "MUL"
        for index in operation.inputs
        if index in made and _long(graph.tensors[index].shape[1:]) == _long(gates.values.shape[1:])
    ]
    return found[-1] if found else None


def _long(shape: Sequence[int]) -> list[int]:
    """A shape without what is broadcast."""
    return [size for size in shape if size != 1]
