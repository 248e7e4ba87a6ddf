"""The gates of SE blocks: what Keras computes, and what a TFLite file does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_se.excitation.record import Gates, recording_of
from keras_se.export.frontend.batching import batches
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.interpreter import TensorValues
from keras_se.export.tflite.layer_map import LayerNames, within
from keras_se.export.tflite.runner import Runner


def keras_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> list[Gates]:
    """The gates of every SE block that is called once and gets no mask, which a file has likewise.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_se import SqueezeExcite
    >>> from keras_se.export.tflite.gates import keras_gates
    >>> model = keras.Sequential([keras.Input((4, 4, 8)), SqueezeExcite(2, name="se")])
    >>> [(gates.path, gates.values.shape) for gates in keras_gates(model, [np.ones((3, 4, 4, 8), "float32")])]
    [('se', (3, 8))]

    Args:
        model: The model; models inside it are looked into.
        columns: An array for each of its inputs, samples first.
    """
    found = recording_of(model, columns).blocks
    again = {gates.path for gates in found if gates.call > 1}
    return [gates for gates in found if not gates.masked and gates.path not in again]


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
