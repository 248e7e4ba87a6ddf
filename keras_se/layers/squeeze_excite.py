"""The squeeze-and-excitation layer."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_se._validation import positive_integer
from keras_se.layers.base import GatedLayer, accumulation_dtype, project

LONGEST_SUM = 128 * 128


@keras.saving.register_keras_serializable(package="keras_se")
class SqueezeExcite(GatedLayer):
    """Rescales every channel by a gate computed from all channels.

        z = mean of x over space                  squeeze      (batch, channels)
        s = gate(W2 · activation(W1 · z))         excitation   (batch, channels)
        y = s · x                                 scale        the shape of x

    The squeeze and the excitation are computed in at least float32, even if the layer computes in float16 or bfloat16.

    Example:

    >>> import keras
    >>> from keras_se import SqueezeExcite
    >>> model = keras.Sequential([keras.Input((32, 32, 64)), SqueezeExcite(r=16)])
    >>> model.count_params()  # 64 → 4 → 64, with biases
    580

    Args:
        r: Positive integer, the reduction ratio. The excitation's hidden width is `max(1, channels // r)`, rounded
            up to a multiple of `divisor`.
        bottleneck: Positive integer or `None`. Sets the hidden width directly, in place of `r` and `divisor`.
        divisor: Positive integer. 1 leaves the width unchanged; the SE-ResNets of timm use 8.
        squeeze: `"avg"`, `"max"`, or a callable. A callable with arguments named `axis` and `keepdims`, like
            `keras.ops.mean`, receives the spatial axes to reduce. Any other, such as a pooling layer, receives the
            inputs alone. Both also receive `mask` if they have an argument of that name. The result has the shape
            (batch, channels), with or without spatial axes of length 1.
        activation: The activation between the two projections: anything that `keras.activations.get` accepts.
        gate: The activation after the second projection. `"hard_sigmoid"` is that of MobileNetV3.
        use_bias: Whether the two projections have a bias. The released networks have one; the paper's ablations
            have none.
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        kernel_initializer, bias_initializer: Initialisers of the weights.
        kernel_regularizer, bias_regularizer: Regularisers of the weights.
        kernel_constraint, bias_constraint: Constraints of the weights.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        Rank 3, 4 or 5: (batch, *spatial, channels), or (batch, channels, *spatial) if `data_format` says so.
        Spatial sizes may be unknown; the number of channels must be known. A mask of shape (batch, *spatial), such as
        sequence layers pass on in rank 3, excludes positions from the squeeze. The squeeze of a sample that is masked
        everywhere is zero.

    Output shape:
        The input shape.

    Raises:
        ValueError: for an argument out of its range, an input of another rank, or an unknown number of channels.

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., section 3.
    """

    def __init__(
        self,
        r: int = 16,
        *,
        bottleneck: int | None = None,
        divisor: int = 1,
        squeeze: str | Callable[..., Any] = "avg",
        activation: Any = "relu",
        gate: Any = "sigmoid",
        use_bias: bool = True,
        data_format: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            gate=gate,
            use_bias=use_bias,
            data_format=data_format,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.r = positive_integer("r", r)
        self.bottleneck = None if bottleneck is None else positive_integer("bottleneck", bottleneck)
        self.divisor = positive_integer("divisor", divisor)
        squeeze = _deserialize_squeeze(squeeze)
        if squeeze not in ("avg", "max") and not callable(squeeze):
            raise ValueError(f'squeeze must be "avg", "max" or a callable. Received: squeeze={squeeze!r}')
        self.squeeze = squeeze
        self.activation = keras.activations.get(activation)

    def width(self, channels: int) -> int:
        """The hidden width of the excitation for an input of `channels` channels."""
        if self.bottleneck is not None:
            return self.bottleneck
        width = max(1, channels // self.r)
        return -(-width // self.divisor) * self.divisor

    def build(self, input_shape: tuple) -> None:
        channels = self.check_input(input_shape)
        width = self.width(channels)
        self.reduce_kernel, self.reduce_bias = self.add_projection("reduce", channels, width)
        self.expand_kernel, self.expand_bias = self.add_projection("expand", width, channels)
        ones = (1,) * (len(input_shape) - 2)
        shapes = (
            (self.squeeze, input_shape),
            (self.activation, (None, *ones, width)),
            (self.gate, (None, *ones, channels)),
        )
        for part, shape in shapes:
            if isinstance(part, keras.layers.Layer) and not part.built:
                part.build(shape)
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return ops.multiply(inputs, self._gates(inputs, mask))

    def excitation(self, inputs: Any, mask: Any = None) -> Any:
        """The gates of `inputs`, before they are applied.

        Args:
            inputs: Array or tensor of the layer's input shape. The layer is built if it is not yet.
            mask: Optional, shape (batch, *spatial), true for positions to include.

        Returns:
            Tensor of shape (batch, channels), in the layer's compute dtype.
        """
        inputs = self.built_for(inputs)
        rank = len(inputs.shape)
        return ops.reshape(self._gates(inputs, mask), (-1, inputs.shape[self.channel_axis(rank)]))

    def _gates(self, inputs: Any, mask: Any) -> Any:
        """Gates that broadcast against `inputs`: (batch, 1, …, channels) or (batch, channels, 1, …)."""
        rank = len(inputs.shape)
        channels = inputs.shape[self.channel_axis(rank)]
        ones = (1,) * (rank - 2)
        z = self._squeeze(inputs, mask)
        if math.prod(size or 0 for size in z.shape[1:]) != channels:
            raise ValueError(
                f"squeeze must return one value for each of the {channels} channels, shape (batch, {channels}). "
                f"Received: shape {tuple(z.shape)} from squeeze={self.squeeze!r}"
            )
        # Channels last, for the projections and for activations over channels (softmax): (batch, 1, …, channels).
        if len(z.shape) != rank or self.data_format == "channels_first":
            z = ops.reshape(z, (-1, *ones, channels))
        s = project(z, self.reduce_kernel, self.reduce_bias)
        s = project(self.activation(s), self.expand_kernel, self.expand_bias)
        s = ops.cast(self.gate(s), self.compute_dtype)
        return ops.reshape(s, (-1, channels, *ones)) if self.data_format == "channels_first" else s

    def _squeeze(self, inputs: Any, mask: Any) -> Any:
        axes = self.spatial_axes(len(inputs.shape))
        # A sum of many float16 values overflows at 65,504: accumulate in a wider type.
        dtype = accumulation_dtype(self.compute_dtype)
        if not isinstance(self.squeeze, str):
            return ops.cast(_call_squeeze(self.squeeze, ops.cast(inputs, dtype), mask, axes), dtype)
        if mask is not None:
            mask = ops.expand_dims(self._checked(mask, inputs), self.channel_axis(len(inputs.shape)))
        if self.squeeze == "max":
            return ops.cast(_masked_max(inputs, mask, axes), dtype)
        return _masked_mean(ops.cast(inputs, dtype), mask, axes)

    def _checked(self, mask: Any, inputs: Any) -> Any:
        mask = ops.convert_to_tensor(mask, dtype="bool")
        axis = self.channel_axis(len(inputs.shape))
        sizes = (*inputs.shape[:axis], *inputs.shape[axis + 1 :])
        fits = len(mask.shape) == len(sizes) and all(
            None in (size, wanted) or size == wanted for size, wanted in zip(mask.shape, sizes, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The mask must have the shape (batch, *spatial) of the inputs, {tuple(sizes)}. "
                f"Received: a mask of shape {tuple(mask.shape)} with inputs of shape {tuple(inputs.shape)}"
            )
        return mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "r": self.r,
            "bottleneck": self.bottleneck,
            "divisor": self.divisor,
            "squeeze": _serialize_squeeze(self.squeeze),
            "activation": keras.activations.serialize(self.activation),
        }


def _call_squeeze(squeeze: Callable[..., Any], inputs: Any, mask: Any, axes: tuple[int, ...]) -> Any:
    accepted = _argument_names(squeeze)
    if mask is not None and "mask" not in accepted:
        raise ValueError(
            "For inputs with a mask, squeeze must be a callable with an argument named mask. "
            f"Received: squeeze={squeeze!r}"
        )
    keywords = {"axis": axes, "keepdims": True} | ({} if mask is None else {"mask": mask})
    return squeeze(inputs, **{name: value for name, value in keywords.items() if name in accepted})


def _masked_mean(x: Any, mask: Any, axes: tuple[int, ...]) -> Any:
    if mask is None:
        return _in_steps(ops.mean, x, axes)
    count = _in_steps(ops.sum, ops.cast(mask, x.dtype), axes)
    # Not x * mask, which keeps a masked NaN or infinity.
    return _in_steps(ops.sum, ops.where(mask, x, ops.zeros_like(x)), axes) / ops.maximum(count, 1)


def _in_steps(reduce: Callable[..., Any], x: Any, axes: tuple[int, ...]) -> Any:
    """Reduces over `axes`: all at once, or one axis after the other for many values.

    On a CPU, TensorFlow adds values one by one: over 512x512 values, float32 loses three of its seven digits.
    """
    sizes = [x.shape[axis] for axis in axes]
    if None not in sizes and math.prod(sizes) <= LONGEST_SUM:
        return reduce(x, axis=axes, keepdims=True)
    for axis in reversed(axes):
        x = reduce(x, axis=axis, keepdims=True)
    return x


def _masked_max(x: Any, mask: Any, axes: tuple[int, ...]) -> Any:
    if mask is None:
        return ops.max(x, axis=axes, keepdims=True)
    highest = ops.max(ops.where(mask, x, ops.full_like(x, float("-inf"))), axis=axes, keepdims=True)
    return ops.where(ops.any(mask, axis=axes, keepdims=True), highest, ops.zeros_like(highest))


def _argument_names(function: Callable[..., Any]) -> set[str]:
    if isinstance(function, keras.layers.Layer):
        function = function.call
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:  # a builtin without a signature
        return set()


# Keras saves functions by name and can load only registered ones, so functions of keras.ops are saved as such.
def _serialize_squeeze(squeeze: str | Callable[..., Any]) -> Any:
    if isinstance(squeeze, str):
        return squeeze
    name = getattr(squeeze, "__name__", "")
    if name and getattr(ops, name, None) is squeeze:
        return {"class_name": "keras.ops", "config": name}
    return keras.saving.serialize_keras_object(squeeze)


def _deserialize_squeeze(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "keras.ops":
        return getattr(ops, config["config"])
    return keras.saving.deserialize_keras_object(config)
