"""A Keras model as an exporter sees it: named, flat inputs and outputs, float32, not training."""

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_se.export.errors import ExportError, require
from keras_se.export.scopes import clean_scopes
from keras_se.rewrite import cloned, copied, copy_weights, layers_of

CONVERTED = ("float16", "bfloat16", "float64")
# Random samples have this size where the model's is unknown.
UNKNOWN_SIZE = 32
REFERENCE_BATCH = 8
COPY_TOLERANCE = 0.2
# In place of a type: arrays keep their own.
ANY = ""


@dataclass(frozen=True)
class Tensor:
    """An input or output: its name in files, its shape without the batch (`None` where unknown), its dtype.

    `scaling` is of an input that the model scales itself, before all else: scale and offset. `choices` is how many
    whole numbers an input can be, from 0 on, as far as that is known. `preprocessing` is how the model says that its
    images are prepared.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scaling: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)
    choices: int = field(default=2, compare=False, repr=False)
    preprocessing: Any = field(default=None, compare=False, repr=False)


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
        self.model = _float32(model)
        sequential = isinstance(self.model, keras.Sequential)
        self._input = self.model.inputs[0] if sequential else self.model.input
        self._output = self.model.outputs[0] if sequential else self.model.output
        names = _output_names(self.model, self._output)
        self.inputs = _inputs(_input_names(self.model, self._input), self.model.inputs)
        if len(self.inputs) == 1:
            self.inputs = (replace(self.inputs[0], preprocessing=getattr(model, "preprocessing", None)),)
        taken = {tensor.name for tensor in self.inputs}  # ONNX has one name for one tensor
        names = [f"{name}_output" if name in taken else name for name in _unique(names)]
        self.outputs = _tensors(_unique(names), self.model.outputs)

    def __call__(self, *inputs: Any) -> list[Any]:
        """Flat inputs → flat outputs, in inference mode."""
        packed = keras.tree.pack_sequence_as(self._input, list(inputs))
        return keras.tree.flatten(self.model(packed, training=False))

    def reference(
        self, feeds: Mapping[str, np.ndarray], rounded: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """What Keras computes of named inputs, as arrays by output name.

        Args:
            feeds: Arrays by input name, samples first.
            rounded: What is done to each kernel (a weight of rank 2 or more) first. The model keeps its own.
        """
        compute = self if rounded is None else self._with_kernels(rounded)
        columns = [feeds[tensor.name] for tensor in self.inputs]
        parts = []
        for start in range(0, len(columns[0]), REFERENCE_BATCH):
            outputs = compute(
                *(keras.ops.convert_to_tensor(column[start : start + REFERENCE_BATCH]) for column in columns)
            )
            parts.append([keras.ops.convert_to_numpy(output) for output in outputs])
        return {
            tensor.name: np.concatenate(column)
            for tensor, column in zip(self.outputs, zip(*parts, strict=True), strict=True)
        }

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
        """This model with the other's names: a rewrite can drop the layer that an output was named after."""
        self.inputs, self.outputs = other.inputs, other.outputs
        return self

    def pack_outputs(self, outputs: Sequence[np.ndarray]) -> Any:
        """Flat outputs in the structure that the model returns."""
        return keras.tree.pack_sequence_as(self._output, list(outputs))


def random_feeds(inputs: Sequence[Tensor], samples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal values, with a level and a contrast for each sample; or whole numbers: an embedding's, or 0 and 1.

    White noise alone has the same mean everywhere: a network that ends in a pooling would hardly tell samples apart.
    A scaling at the input is undone: a model that scales pixels itself gets some. Unknown sizes are 32.
    """
    rng = np.random.default_rng(seed)
    feeds = {}
    for tensor in inputs:
        shape = (samples, *(UNKNOWN_SIZE if size is None else size for size in tensor.shape))
        dtype = np.dtype(tensor.dtype)
        if np.issubdtype(dtype, np.floating) or tensor.scaling is not None:
            each = (samples, *(1 for _ in tensor.shape))
            values: np.ndarray = rng.uniform(0.5, 1.0, each) * rng.standard_normal(shape) + rng.normal(0, 0.25, each)
            scale, offset = tensor.scaling or (1.0, 0.0)
            values = (values - offset) / scale
            if dtype.kind in "iu":
                values = np.clip(np.round(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
        else:
            values = rng.integers(0, tensor.choices, shape)
        feeds[tensor.name] = values.astype(dtype)
    return feeds


def feeds_of(inputs: Sequence[Tensor], batch: Any, argument: str = "batch") -> dict[str, np.ndarray]:
    """Arrays by name, of the inputs' dtypes, or a `ValueError` that says what was expected."""
    names = [tensor.name for tensor in inputs]
    if isinstance(batch, Mapping):
        if set(batch) != set(names):
            raise ValueError(f"{argument} must have the inputs {names}. Received: {sorted(map(str, batch))}")
        columns = [batch[name] for name in names]
    elif len(inputs) == 1:
        wrapped = isinstance(batch, list | tuple) and len(batch) == 1 and _rank(batch[0]) == len(inputs[0].shape) + 1
        columns = [batch[0] if wrapped else batch]
    elif isinstance(batch, list | tuple) and len(batch) == len(inputs):
        columns = list(batch)
    else:
        raise ValueError(
            f"{argument} must be one array for each of the inputs {names}. Received: {type(batch).__name__}"
        )
    feeds = {tensor.name: _column(tensor, column, argument) for tensor, column in zip(inputs, columns, strict=True)}
    lengths = {len(column) for column in feeds.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"{argument} must have the same number of samples, at least one, for every input. "
            f"Received: {sorted(lengths)}"
        )
    return feeds


def _rank(values: Any) -> int | None:
    try:
        return np.ndim(values)
    except ValueError:  # ragged lists
        return None


def _column(tensor: Tensor, values: Any, argument: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"values of dtype {array.dtype}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{argument} must be numbers for the input {tensor.name!r}. Received: {error}") from error
    fits = array.ndim == len(tensor.shape) + 1 and all(
        size in (None, actual) for size, actual in zip(tensor.shape, array.shape[1:], strict=True)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in tensor.shape)
        raise ValueError(
            f"{argument} must have the shape (samples, {expected}) for the input {tensor.name!r}. "
            f"Received: {array.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for floats becomes infinite, and is refused
        stored = np.ascontiguousarray(array, dtype=None if tensor.dtype == ANY else tensor.dtype)
    if stored.dtype.kind in "iub" and not np.array_equal(stored, array):
        lowest, highest = (
            (0, 1) if stored.dtype.kind == "b" else (np.iinfo(stored.dtype).min, np.iinfo(stored.dtype).max)
        )
        raise ValueError(
            f"{argument} must be whole numbers from {lowest} to {highest} for the input {tensor.name!r}, of "
            f"{tensor.dtype}. Received: {array[stored != array].flat[0]}"
        )
    return stored


@contextmanager
def inlined_functions() -> Iterator[None]:
    """While tracing, calls of nested `tf.function`s become part of the graph.

    Keras computes grouped convolutions in a function compiled by XLA; tf2onnx writes its call into the file as a node
    that no runtime knows.
    """
    tf = require("tensorflow", "tensorflow")
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def trace(model: InferenceModel, batch_size: int | None, shapes: Mapping[str, tuple] | None = None) -> tuple[Any, Any]:
    """The model as a TensorFlow function with named inputs and outputs.

    Args:
        model: What to trace.
        batch_size: A fixed batch, or `None` for any.
        shapes: Input shapes without the batch, by name, where they differ from the model's.

    Returns:
        The `tf.function`, and what was traced of it.
    """
    tf = require("tensorflow", "tensorflow")
    specs = [
        tf.TensorSpec((batch_size, *(shapes or {}).get(tensor.name, tensor.shape)), tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]

    @tf.function(input_signature=specs)
    def serve(*inputs: Any) -> dict[str, Any]:
        return {tensor.name: output for tensor, output in zip(model.outputs, model(*inputs), strict=True)}

    with inlined_functions(), clean_scopes():
        return serve, serve.get_concrete_function()


def rebuilt(model: keras.Model, clone: Any, **options: Any) -> keras.Model:
    """`keras.models.clone_model` with the models inside cloned the same way."""

    def clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return rebuilt(layer, clone, **options) if isinstance(layer, keras.Model) else clone(layer)

    return cloned(model, clone_function=clone_layer, **options)


def _check(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model. Received: {type(model).__name__}")
    if not getattr(model, "inputs", None):
        raise ValueError(
            "model must be functional, or a Sequential model with an input: wrap another one in "
            f"keras.Model(inputs, model(inputs)) with inputs = keras.Input(shape). Received: {type(model).__name__} "
            f"{model.name!r}"
        )


def _float32(model: keras.Model) -> keras.Model:
    """The model itself, or a copy in float32 if any part of it computes in half precision or in float64."""
    dtypes = [layer.compute_dtype for layer in layers_of(model) if isinstance(layer, keras.layers.Layer)]
    if not {*dtypes, *(str(tensor.dtype) for tensor in model.inputs)} & {*CONVERTED}:
        return model

    try:
        copy = rebuilt(model, lambda layer: copied(layer, _float32_config))
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            "A model that does not compute in float32 must be made of layers that can be copied. "
            f"Received: {model.name!r} ({str(error).strip().splitlines()[0]})"
        ) from error
    copy_weights(model, copy)
    _check_copy(model, copy)
    return copy


def _float32_config(config: Any) -> Any:
    """A layer's configuration with every dtype in it, also of layers inside, as float32."""
    if isinstance(config, list | tuple):
        return type(config)(_float32_config(value) for value in config)
    if not isinstance(config, dict):
        return config
    result = {key: _float32_config(value) for key, value in config.items()}
    dtype = config.get("dtype")
    name = dtype["config"].get("name") if isinstance(dtype, dict) and "config" in dtype else dtype
    if isinstance(name, str) and name.removeprefix("mixed_") in CONVERTED:
        result["dtype"] = "float32"
    return result


def _check_copy(model: keras.Model, copy: keras.Model) -> None:
    # Files are compared with the copy: it has to be right itself, to what half precision can tell.
    tensors = _tensors([str(i) for i in range(len(model.inputs))], model.inputs)
    batch = [keras.ops.convert_to_tensor(column) for column in random_feeds(tensors, 2).values()]
    results = []
    for candidate in (model, copy):
        structure = candidate.inputs[0] if isinstance(candidate, keras.Sequential) else candidate.input
        outputs = keras.tree.flatten(candidate(keras.tree.pack_sequence_as(structure, batch), training=False))
        results.append([keras.ops.convert_to_numpy(keras.ops.cast(output, "float64")) for output in outputs])
    for expected, actual in zip(*results, strict=True):
        if np.abs(actual - expected).max() > COPY_TOLERANCE * max(np.abs(expected).max(), 1e-6):
            raise ExportError(f"{model.name} cannot be exported: its copy in float32 computes something else.")


def _tensors(names: list[str], tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, tuple(tensor.shape[1:]), str(tensor.dtype)) for name, tensor in zip(names, tensors, strict=True)
    )


def _inputs(names: list[str], tensors: Sequence[Any]) -> tuple[Tensor, ...]:
    return tuple(
        replace(tensor, scaling=_scaling(own), choices=_choices(own))
        for tensor, own in zip(_tensors(names, tensors), tensors, strict=True)
    )


def _reader(tensor: Any) -> Any:
    """The layer that an input goes into, also in a model inside, if it is one only."""
    # Keras has no public way to ask what reads a tensor.
    readers = {call.operation for call in tensor._keras_history.operation._outbound_nodes}
    layer: Any = readers.pop() if len(readers) == 1 else None
    nested = isinstance(layer, keras.Model) and len(getattr(layer, "inputs", None) or ()) == 1
    return _reader(layer.inputs[0]) if nested else layer


def _choices(tensor: Any) -> int:
    layer, dtype = _reader(tensor), str(tensor.dtype)
    largest = np.iinfo(dtype).max if "int" in dtype else 1
    return min(layer.input_dim, largest + 1) if isinstance(layer, keras.layers.Embedding) else 2


def _scaling(tensor: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Scale and offset of the layer that an input goes into, if it goes into one only, and that scales it."""
    layer = _reader(tensor)
    if type(layer) is keras.layers.Rescaling:
        scale, offset = np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    elif type(layer) is keras.layers.Normalization and not layer.invert:
        mean, variance = (keras.ops.convert_to_numpy(value) for value in (layer.mean, layer.variance))
        scale = 1 / np.maximum(np.sqrt(variance), keras.config.epsilon())
        offset = -mean * scale
    else:
        return None
    # One number, or one for each channel at the end; channels first are left alone.
    fits = all(value.size in (1, tensor.shape[-1]) for value in (scale, offset))
    return (scale.reshape(-1), offset.reshape(-1)) if fits and scale.all() else None


def _input_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.inputs):
        names = sorted(structure)
    else:
        # Keras numbers unnamed tensors over the whole process: such a name would change from run to run.
        unnamed = re.compile(r"keras_tensor(_\d+)?|input_layer(_\d+)?")
        names = ["input" if unnamed.fullmatch(tensor.name) else tensor.name for tensor in model.inputs]
    # Signatures are called with inputs by keyword.
    return _unique([f"{name}_" if keyword.iskeyword(name) or name == "self" else name for name in names])


def _output_names(model: keras.Model, structure: Any) -> list[str]:
    if isinstance(structure, dict) and len(structure) == len(model.outputs):
        return sorted(structure)
    if isinstance(model, keras.Sequential):
        return [_stable_name(model.layers[-1])]
    return [_stable_name(tensor._keras_history.operation) for tensor in model.outputs]


def _stable_name(operation: Any) -> str:
    """The name of a layer, without the number that Keras, which counts over the whole process, gives unnamed ones."""
    name, _, number = operation.name.rpartition("_")
    unnamed = number.isdigit() and name.replace("_", "") == type(operation).__name__.lower()
    return name if unnamed else operation.name


def _unique(names: list[str]) -> list[str]:
    """Names that every format takes: ASCII letters, digits and _, a letter first; no two the same."""
    names = [re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names]
    names = [name if name[:1].isalpha() else f"tensor_{name.lstrip('_')}" for name in names]
    found: list[str] = []
    for i, name in enumerate(names):
        new = name if names.count(name) == 1 else f"{name}_{names[:i].count(name)}"
        while new in found or (new != name and new in names):
            new += "_"
        found.append(new)
    return found
