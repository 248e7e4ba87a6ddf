"""Rewrites of the Keras graph before conversion. The model that was passed in is never changed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_se.export.inference import InferenceModel, copy_weights
from keras_se.layers import ConcurrentSqueezeExcite, SqueezeExcite

# The layers that a batch norm behind them can be folded into: what is computed is linear in the kernel.
CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
POOLINGS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)

# Gates that vary by less than this over the calibration data are constants to a quantized file: the step of an
# int8 gate is 1/256.
CONSTANT_GATE = 1e-4
PROBE_BATCH = 8


def optimized(
    model: InferenceModel, calibration: Mapping[str, np.ndarray] | None = None, *, hard_swish: bool = True
) -> tuple[InferenceModel, list[str]]:
    """The model rewritten, with the same inputs and outputs, and notes for the user.

    Without calibration data every rewrite is exact. With it (for int8 and int16x8) constant gates become constants.

    Args:
        model: The model.
        calibration: Calibration data, if the file is quantized with it.
        hard_swish: Whether what runs the file has a good kernel for hard swish. Otherwise it is spelled out.
    """
    notes: list[str] = []
    source = model.model
    try:
        source = fold_batch_norm(stride_by_convolution(source))
        if not hard_swish:
            source = spell_out_hard_swish(source)
        if calibration is not None:
            source, frozen = freeze_constant_gates(source, list(calibration.values()))
            notes += [f"The gates of {name} are constant over the calibration data." for name in frozen]
    except _CannotCopyError as error:
        return model, [f"Exported without rewrites, since {error} cannot be copied: it has no proper get_config."]
    return InferenceModel(source).renamed_like(model), notes


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Merges each batch norm into the convolution before it, where nothing else reads that convolution.

        gamma · (W x + b − mean) / sqrt(var + epsilon) + beta  =  W' x + b'

    Exact: the new weights are computed in float64. Returns the model itself if there is nothing to fold.
    """
    pairs = {conv.name: (conv, norm) for conv, norm in _convolutions_with_norm(model)}
    nested = [(layer, fold_batch_norm(layer)) for layer in model.layers if _has_graph(layer)]
    replacements: dict[str, keras.layers.Layer] = {layer.name: new for layer, new in nested if new is not layer}
    if not pairs and not replacements:
        return model
    replacements.update({name: _with_bias(conv) for name, (conv, _) in pairs.items()})
    result = _substituted(model, replacements, dropped={norm.name for _, norm in pairs.values()})
    for name, (conv, norm) in pairs.items():
        replacements[name].set_weights(_folded_weights(conv, norm))
    return result


def stride_by_convolution(model: keras.Model) -> keras.Model:
    """Replaces each pooling of single values, which takes every second one or so, by a depthwise convolution with ones.

    Exact. LiteRT's delegate refuses the pooling, which would cut the network in two. Returns the model itself if there
    is nothing to replace.
    """
    nested = [(layer, stride_by_convolution(layer)) for layer in model.layers if _has_graph(layer)]
    replacements: dict[str, keras.layers.Layer] = {layer.name: new for layer, new in nested if new is not layer}
    for layer in _called_once(model):
        single = type(layer) in POOLINGS and layer.pool_size == (1, 1) and len(set(layer.strides)) == 1
        if single and layer.data_format == "channels_last":
            replacements[layer.name] = keras.layers.DepthwiseConv2D(
                1,
                strides=layer.strides,
                use_bias=False,
                depthwise_initializer="ones",
                dtype=layer.dtype_policy,
                name=layer.name,
            )
    return _substituted(model, replacements, dropped=set()) if replacements else model


def spell_out_hard_swish(model: keras.Model) -> keras.Model:
    """Replaces each hard swish by the sum and products that it is: x · relu6(x + 3) / 6.

    Exact. Of the operation itself LiteRT has no kernel in 16 bits, and ONNX's quantizer rounds more. In 8 bits LiteRT's
    own kernel rounds least, though its delegate has none. Returns the model itself if there is nothing to replace.
    """
    nested = [(layer, spell_out_hard_swish(layer)) for layer in model.layers if _has_graph(layer)]
    replacements: dict[str, keras.layers.Layer] = {layer.name: new for layer, new in nested if new is not layer}
    for layer in _called_once(model):
        if type(layer) is keras.layers.Activation and layer.activation is keras.activations.hard_silu:
            replacements[layer.name] = _HardSwish(dtype=layer.dtype_policy, name=layer.name)
    return _substituted(model, replacements, dropped=set()) if replacements else model


def freeze_constant_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> tuple[keras.Model, list[str]]:
    """Replaces SE blocks whose gates do not depend on the calibration data by the constants that their gates are.

    A narrow excitation can be dead: its hidden units are never positive, so the gates are always those of the bias.
    A quantizer would give such a hidden layer a range of nothing, with which LiteRT's delegate refuses to run. To
    a quantized file, which clips to the ranges that it was calibrated for, such gates are constants anyway.

    Args:
        model: The model.
        columns: The calibration data, an array for each of the model's inputs.

    Returns:
        The new model (the same if no gate is constant) and the names of the layers that were replaced.
    """
    replacements: dict[str, keras.layers.Layer] = {}
    frozen: list[str] = []
    for nested in (layer for layer in _called_once(model) if _has_graph(layer)):
        inner = list(_values(model, list(_calls(nested)[0].input_tensors), columns))
        new, names = freeze_constant_gates(nested, [np.concatenate(column) for column in zip(*inner, strict=True)])
        if names:
            replacements[nested.name] = new
            frozen += names
    constants = _constant_gates(model, columns)
    scales = {name: _with_constant_gates(layer) for name, (layer, _) in constants.items()}
    if not replacements and not scales:
        return model, []
    result = _substituted(model, {**replacements, **scales}, dropped=set())
    for name, (layer, gates) in constants.items():
        if isinstance(layer, ConcurrentSqueezeExcite):
            scales[name].channel.set_weights([gates])
            copy_weights(layer.spatial, scales[name].spatial)
        else:
            scales[name].set_weights([gates])
    return result, frozen + list(scales)


def _constant_gates(model: keras.Model, columns: Sequence[np.ndarray]) -> dict[str, tuple[Any, np.ndarray]]:
    # An SE layer that gets a mask has two inputs: its gates need not be constant for other masks.
    blocks = [
        layer
        for layer in _called_once(model)
        if isinstance(layer, SqueezeExcite | ConcurrentSqueezeExcite) and not isinstance(layer.input, list | tuple)
    ]
    if not blocks:
        return {}
    lowest: list[Any] = [np.inf] * len(blocks)
    highest: list[Any] = [-np.inf] * len(blocks)
    for maps in _values(model, [layer.input for layer in blocks], columns):
        for i, (layer, x) in enumerate(zip(blocks, maps, strict=True)):
            gates = keras.ops.convert_to_numpy(layer.excitation(x))
            lowest[i] = np.minimum(lowest[i], gates.min(axis=0))
            highest[i] = np.maximum(highest[i], gates.max(axis=0))
    return {
        layer.name: (layer, (low + high) / 2)
        for layer, low, high in zip(blocks, lowest, highest, strict=True)
        if np.max(high - low) < CONSTANT_GATE
    }


def _with_constant_gates(layer: Any) -> Any:
    """A layer to take the place of an SE layer, whose channel gates are weights."""
    if not isinstance(layer, ConcurrentSqueezeExcite):
        return _Scale(layer.data_format, name=layer.name)
    copy = type(layer).from_config(layer.get_config())
    del copy.channel
    copy.channel = _Scale(layer.channel.data_format, name="channel")
    return copy


def _has_graph(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model) and bool(getattr(layer, "inputs", None))


def _values(model: keras.Model, tensors: list[Any], columns: Sequence[np.ndarray]) -> Iterator[list[Any]]:
    """The values of inner tensors, a few samples at a time: feature maps of many would fill the memory."""
    probe = InferenceModel(keras.Model(model.inputs, tensors))
    for start in range(0, len(columns[0]), PROBE_BATCH):
        yield probe(*(keras.ops.convert_to_tensor(column[start : start + PROBE_BATCH]) for column in columns))


class _CannotCopyError(Exception):
    """A layer whose configuration does not make the layer again."""


class _Scale(keras.layers.Layer):
    """Multiplies each channel by a constant."""

    def __init__(self, data_format: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape: tuple) -> None:
        self.axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        self.scale = self.add_weight(shape=(input_shape[self.axis],), name="scale")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return keras.ops.multiply(inputs, keras.ops.reshape(self.scale, shape))


class _HardSwish(keras.layers.Layer):
    """Hard swish in an order in which TensorFlow's converter does not recognise it, and make one operation of it."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.multiply(inputs * (1 / 6), keras.ops.relu6(inputs + 3))


def _substituted(model: keras.Model, replacements: Mapping[str, keras.layers.Layer], dropped: set[str]) -> keras.Model:
    """A copy of the model, with its weights, in which layers are replaced, or dropped: passed over, by name."""
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in replacements:
            return replacements[layer.name]
        try:
            nested = _has_graph(layer)
            copy = keras.models.clone_model(layer) if nested else type(layer).from_config(layer.get_config())
        except (NotImplementedError, TypeError, ValueError) as error:  # ValueError: a Lambda of a Python lambda
            raise _CannotCopyError(layer.name) from error
        if isinstance(layer, keras.layers.Layer):  # and not an operation of keras.ops, which has no weights
            copies.append((layer, copy))
        return copy

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in dropped else layer(*args, **kwargs)

    functional = (
        keras.Model(model.inputs, model.outputs, name=model.name) if isinstance(model, keras.Sequential) else model
    )
    result = keras.models.clone_model(functional, clone_function=clone, call_function=call)
    for layer, copy in copies:
        if layer.name not in dropped:
            copy_weights(layer, copy)
    return result


def _convolutions_with_norm(model: keras.Model) -> list[tuple[Any, Any]]:
    return [
        (conv, norm)
        for norm in model.layers
        if type(norm) is keras.layers.BatchNormalization and (conv := _convolution_before(norm, model)) is not None
    ]


def _convolution_before(norm: Any, model: keras.Model) -> Any:
    calls = _calls(norm)
    if len(calls) != 1 or calls[0].arguments.kwargs.get("training"):
        return None
    conv = calls[0].input_tensors[0]._keras_history.operation
    foldable = (
        type(conv) in CONVOLUTIONS + DEPTHWISE  # a subclass may compute something that is not linear in the kernel
        and not getattr(conv, "lora_enabled", False)
        and conv in model.layers
        and conv.data_format == "channels_last"
        and norm.axis in (-1, len(norm.input.shape) - 1)
        and conv.activation is keras.activations.linear
        and len(_calls(conv)) == 1
        and len(conv._outbound_nodes) == 1
        and all(conv.output is not output for output in model.outputs)
    )
    return conv if foldable else None


def _called_once(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if len(_calls(layer)) == 1]


def _calls(layer: keras.layers.Layer) -> Sequence[Any]:
    # Keras has no public way to ask how often, and with what, a layer is called in a graph.
    return layer._inbound_nodes


def _with_bias(conv: Any) -> Any:
    config = conv.get_config()
    for name in config:  # the weights are set next: nothing need be drawn for them, or regularised
        if name.endswith(("_regularizer", "_constraint")):
            config[name] = None
        elif name.endswith("_initializer"):
            config[name] = "zeros"
    return type(conv).from_config({**config, "use_bias": True})


def _folded_weights(conv: Any, norm: Any) -> list[np.ndarray]:
    def value(variable: Any) -> np.ndarray:
        return keras.ops.convert_to_numpy(variable).astype("float64")

    kernel, *bias = (value(weight) for weight in conv.weights)
    scale = 1 / np.sqrt(value(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale = scale * value(norm.gamma)
    shift = (bias[0] if bias else 0.0) - value(norm.moving_mean)
    shift = shift * scale + (value(norm.beta) if norm.center else 0.0)
    # A depthwise kernel ends in (channels, multiplier), whose product is the output's channels.
    shape = kernel.shape[-2:] if isinstance(conv, DEPTHWISE) else kernel.shape[-1:]
    return [kernel * scale.reshape(shape), shift]
