"""The gates of SE blocks, as Keras computes them and as a TFLite file does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_se.excitation.record import Gates, recording_of
from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.tflite.interpreter import TensorValues
from keras_se.export.tflite.layer_map import LayerNames, operations_of
from keras_se.export.tflite.runner import Runner


def keras_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> list[Gates]:
    """The gates of every SE block that is called once and without a mask: those can be found in a file.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_se import SqueezeExcite
    >>> from keras_se.export.tflite.gates import keras_gates
    >>> model = keras.Sequential([keras.Input((4, 4, 8)), SqueezeExcite(2, name="se")])
    >>> [(gates.path, gates.values.shape) for gates in keras_gates(model, [np.ones((3, 4, 4, 8), "float32")])]
    [('se', (3, 8))]

    Args:
        model: The model. Nested models are searched, too.
        columns: An array for each input, samples first.
    """
    found = recording_of(model, columns).blocks
    shared = {gates.path for gates in found if gates.call > 1}
    return [gates for gates in found if not gates.masked and gates.path not in shared]


def file_gates(
    path: Path, model: InferenceModel, wanted: Sequence[Gates], feeds: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The gates that a TFLite file computes, as real numbers, by path, in the shapes of `wanted`.

    Gates that are not found are left out, such as gates that the export made constants.

    Args:
        path: The file.
        model: The model that it was exported from.
        wanted: The gates that Keras computes.
        feeds: The model's inputs by name.
    """
    values = TensorValues(path.read_bytes())
    owners = LayerNames(model).of_operations(values.graph)
    tensors = {gates.path: index for gates in wanted if (index := _tensor(values, owners, gates)) is not None}

    def gates_of_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        computed = values.run(batch)
        return {name: computed[index] for name, index in tensors.items()}

    found = run_in_batches(Runner(path).stored(feeds), gates_of_batch, values.batch)
    return {gates.path: found[gates.path].reshape(gates.values.shape) for gates in wanted if gates.path in found}


def _tensor(values: TensorValues, owners: list[tuple[str, ...]], gates: Gates) -> int | None:
    """The tensor that a block multiplies its feature map by: an operand of its last product."""
    graph, block = values.graph, frozenset([gates.path])
    operations = operations_of(graph, owners, block)
    made = {index for operation in operations for index in operation.outputs}
    found = [
        index
        for operation in operations
        if operation.name == "MUL"
        for index in operation.inputs
        if index in made and _squeezed(graph.tensors[index].shape[1:]) == _squeezed(gates.values.shape[1:])
    ]
    return found[-1] if found else None


def _squeezed(shape: Sequence[int]) -> list[int]:
    """A shape without its sizes of 1."""
    return [size for size in shape if size != 1]
