"""Spatial squeeze-and-excitation (sSE)."""

from typing import Any

import keras
from keras import ops

from keras_se.layers.base import GatedLayer, accumulation_dtype, project


@keras.saving.register_keras_serializable(package="keras_se")
class SpatialSqueezeExcite(GatedLayer):
    """Rescales every position by a gate computed from its channels (sSE).

        q = gate(w · x)      squeeze over channels   (batch, *spatial, 1)
        y = q · x            scale                   the shape of x

    Example:

    >>> import keras
    >>> from keras_se import SpatialSqueezeExcite
    >>> model = keras.Sequential([keras.Input((32, 32, 64)), SpatialSqueezeExcite()])
    >>> model.count_params()  # 64 → 1, with a bias
    65

    Args:
        gate: The gate function, by name or as a function: anything that `keras.activations.get` accepts.
        use_bias: Whether the projection has a bias.
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: Arguments of the projection's weights, as in `SqueezeExcite`.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        Rank 3, 4 or 5: (batch, *spatial, channels), or (batch, channels, *spatial) if `data_format` says so.

    Output shape:
        The input shape.

    Raises:
        ValueError: for an argument out of its range, an input of another rank, or an unknown number of channels.

    Reference:
        [Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks](
        https://arxiv.org/abs/1803.02579), Roy et al., section 2.
    """

    def build(self, input_shape: tuple) -> None:
        channels = self.check_input(input_shape)
        self.kernel, self.bias = self.add_projection("squeeze", channels, 1)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.multiply(inputs, self._gates(inputs))

    def excitation(self, inputs: Any) -> Any:
        """The gates of `inputs`, before they are applied: shape (batch, *spatial), in the compute dtype."""
        inputs = self.built_for(inputs)
        return ops.squeeze(self._gates(inputs), axis=self.channel_axis(len(inputs.shape)))

    def _gates(self, inputs: Any) -> Any:
        axis = self.channel_axis(len(inputs.shape))
        x = ops.cast(inputs, accumulation_dtype(self.compute_dtype))
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, axis, -1)
        q = ops.cast(self.gate(project(x, self.kernel, self.bias)), self.compute_dtype)
        return ops.moveaxis(q, -1, axis) if self.data_format == "channels_first" else q
