"""The base class of the excitation layers: shared arguments and their checks, axes, and projections over channels."""

from typing import Any

import keras


def data_format_of(value: Any) -> str:
    """Returns the data format that the argument `data_format` selects, or raises a `ValueError`."""
    if value not in (None, "channels_first", "channels_last"):
        raise ValueError(
            'data_format must be "channels_last", "channels_first" or None (the Keras setting). '
            f"Received: data_format={value!r}"
        )
    return value or keras.config.image_data_format()


def check_layer_function(se: Any, source: str, argument: str) -> None:
    """Refuses an argument `se` that is neither `None` nor a function from `source`, called `argument`, to a layer."""
    # Layers are callable, too, and a layer class would take the function's argument as its first one.
    if se is not None and (not callable(se) or isinstance(se, keras.layers.Layer | type)):
        raise ValueError(
            f"se must be a function from {source} to a new layer or None, such as lambda {argument}: "
            f"SqueezeExcite(8). Received: se={se!r}"
        )


class GatedLayer(keras.layers.Layer):
    """Base of the layers that multiply their inputs by gates computed from them.

    A subclass creates its weights with `add_projection` and computes gates that broadcast against the inputs. This
    class stores the shared arguments, finds the axes, and checks shapes.
    """

    def __init__(
        self,
        *,
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
        super().__init__(**kwargs)
        self.gate = keras.activations.get(gate)
        self.use_bias = bool(use_bias)
        self.data_format = data_format_of(data_format)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.supports_masking = True

    def channel_axis(self, rank: int) -> int:
        return 1 if self.data_format == "channels_first" else rank - 1

    def spatial_axes(self, rank: int) -> tuple[int, ...]:
        return tuple(axis for axis in range(1, rank) if axis != self.channel_axis(rank))

    def check_input(self, input_shape: tuple) -> int:
        """Returns the number of channels and fixes it in `input_spec`; raises a `ValueError` for unsupported shapes."""
        rank = len(input_shape)
        if rank not in (3, 4, 5):
            raise ValueError(
                f"{type(self).__name__} requires inputs of rank 3, 4 or 5, (batch, *spatial, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        axis = self.channel_axis(rank)
        channels = input_shape[axis]
        if not channels:
            raise ValueError(
                f"{type(self).__name__} requires a known number of channels on axis {axis} ({self.data_format}). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = keras.InputSpec(ndim=rank, axes={axis: channels})
        return channels

    def add_projection(self, name: str, inputs: int, outputs: int) -> tuple[Any, Any]:
        """Creates the weights of a linear map over channels: kernel (inputs, outputs), and bias (outputs,) or None.

        The kernel is a matrix for every rank and data format, so that weights are interchangeable between them. The
        weights are not autocast: the projections are small and are computed in at least float32.
        """
        kernel = self.add_weight(
            name=f"{name}_kernel",
            shape=(inputs, outputs),
            initializer=_fresh(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,
        )
        if not self.use_bias:
            return kernel, None
        bias = self.add_weight(
            name=f"{name}_bias",
            shape=(outputs,),
            initializer=_fresh(self.bias_initializer),
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
            autocast=False,
        )
        return kernel, bias

    def built_for(self, inputs: Any) -> Any:
        """Inputs that bypass `__call__`, as a tensor of the compute dtype. Builds the layer if it is not built."""
        if isinstance(inputs, keras.KerasTensor):
            raise ValueError(f"excitation() requires an array or a tensor with values. Received: inputs={inputs}")
        inputs = keras.ops.convert_to_tensor(inputs, dtype=self.compute_dtype)
        if not self.built:
            self.build(inputs.shape)
        rank, axes = self.input_spec.ndim, self.input_spec.axes
        if len(inputs.shape) != rank or any(inputs.shape[axis] not in (None, size) for axis, size in axes.items()):
            expected = ", ".join(f"{size} channels on axis {axis}" for axis, size in axes.items())
            raise ValueError(
                f"{self.name!r} was built for inputs of rank {rank} with {expected}. "
                f"Received: inputs of shape {tuple(inputs.shape)}"
            )
        return inputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gate": keras.activations.serialize(self.gate),
            "use_bias": self.use_bias,
            "data_format": self.data_format,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


def accumulation_dtype(compute_dtype: str) -> str:
    """The dtype of sums over many values: float64 in layers that compute in float64, float32 in all others."""
    return "float64" if compute_dtype == "float64" else "float32"


def project(x: Any, kernel: Any, bias: Any) -> Any:
    """`x @ kernel + bias`: (…, inputs) → (…, outputs).

    In rank 4 it is a 1x1 convolution: a matrix product would add two Transposes to an ONNX graph and a reshape to a
    TFLite graph.
    """
    kernel = keras.ops.cast(kernel, x.dtype)
    if len(x.shape) == 4:
        kernel = keras.ops.reshape(kernel, (1, 1, *kernel.shape))  # (inputs, outputs) → (1, 1, inputs, outputs)
        x = keras.ops.conv(x, kernel, data_format="channels_last")
    else:
        x = keras.ops.matmul(x, kernel)
    return x if bias is None else keras.ops.add(x, keras.ops.cast(bias, x.dtype))


def _fresh(initializer: Any) -> Any:
    # An unseeded initializer repeats its numbers each time it is called: each weight gets its own copy.
    return initializer.clone() if hasattr(initializer, "clone") else initializer
