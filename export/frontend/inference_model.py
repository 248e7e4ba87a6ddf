"""A Keras model as an exporter sees it: named, flat inputs and outputs, float32, in inference mode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.float32_copy import float32_copy
from keras_se.export.frontend.io_names import input_names, output_names, unique_names
from keras_se.export.frontend.tensor_spec import inputs_of, tensors_of

REFERENCE_BATCH = 8


class InferenceModel:
    """A functional or Sequential model with flat inputs and outputs that have names fit for files.

    Args:
        model: The Keras model. One that computes in another precision is copied to float32: devices that have half
            precision choose it themselves, and few have float64.

    Attributes:
        model: The model that is exported, and that files are compared with.
        inputs, outputs: `Tensor`s, in the order of `model.inputs` and `model.outputs`.
    """

    def __init__(self, model: keras.Model):
        _check(model)
        self.model = float32_copy(model)
        sequential = isinstance(self.model, keras.Sequential)
        self._input = self.model.inputs[0] if sequential else self.model.input
        self._output = self.model.outputs[0] if sequential else self.model.output
        self.inputs = inputs_of(input_names(self.model, self._input), self.model.inputs)
        if len(self.inputs) == 1:
            self.inputs = (replace(self.inputs[0], preprocessing=getattr(model, "preprocessing", None)),)
        taken = {tensor.name for tensor in self.inputs}  # in ONNX, an input and an output cannot have the same name
        names = unique_names(output_names(self.model, self._output))
        names = unique_names([f"{name}_output" if name in taken else name for name in names])
        self.outputs = tensors_of(names, self.model.outputs)

    def __call__(self, *inputs: Any) -> list[Any]:
        """Flat inputs → flat outputs, in inference mode."""
        packed = keras.tree.pack_sequence_as(self._input, list(inputs))
        return keras.tree.flatten(self.model(packed, training=False))

    def reference(
        self, feeds: Mapping[str, np.ndarray], rounded: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs that Keras computes for named inputs, as arrays by name.

        Args:
            feeds: Arrays by input name, samples first.
            rounded: Rounds each kernel (a weight of rank 2 or more) first. The model's own kernels do not change.
        """
        compute = self if rounded is None else self._with_kernels(rounded)

        def run(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            outputs = compute(*(keras.ops.convert_to_tensor(batch[tensor.name]) for tensor in self.inputs))
            arrays = map(keras.ops.convert_to_numpy, outputs)
            return {tensor.name: array for tensor, array in zip(self.outputs, arrays, strict=True)}

        return run_in_batches(feeds, run, largest=REFERENCE_BATCH)

    def _with_kernels(self, rounded: Callable[[np.ndarray], np.ndarray]) -> Callable[..., list[Any]]:
        def value(variable: Any) -> Any:
            kernel = len(variable.shape) > 1 and "float" in str(variable.dtype)
            return rounded(keras.ops.convert_to_numpy(variable)) if kernel else variable.value

        trainable = [value(variable) for variable in self.model.trainable_variables]
        others = [value(variable) for variable in self.model.non_trainable_variables]

        def compute(*inputs: Any) -> list[Any]:
            packed = keras.tree.pack_sequence_as(self._input, list(inputs))
            outputs, _ = self.model.stateless_call(trainable, others, packed, training=False)
            return keras.tree.flatten(outputs)

        return compute

    def renamed_like(self, other: "InferenceModel") -> "InferenceModel":
        """This model with the other's names, since a rewrite can drop the layer that an output was named after."""
        self.inputs, self.outputs = other.inputs, other.outputs
        return self

    def pack_outputs(self, outputs: Sequence[np.ndarray]) -> Any:
        """Flat outputs in the structure that the model returns."""
        return keras.tree.pack_sequence_as(self._output, list(outputs))


def _check(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model. Received: {type(model).__name__}")
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"model must be functional, or a Sequential model with an input. Received: {type(model).__name__} "
            f"{model.name!r}. Wrap it in keras.Model(inputs, model(inputs)) with inputs = keras.Input(shape)."
        )
