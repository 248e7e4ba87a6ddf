"""A constant factor for each channel: what an SE layer with constant gates is replaced with."""

from typing import Any

import keras

from keras_se.layers.base import data_format_of


@keras.saving.register_keras_serializable(package="keras_se")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a weight: y = s · x, with one trainable s per channel, 1 at first.

    Example:

    >>> import keras
    >>> from keras_se.layers import ChannelScale
    >>> keras.Sequential([keras.Input((32, 32, 64)), ChannelScale()]).count_params()
    64

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        Rank 3 or more: (batch, *spatial, channels), or (batch, channels, *spatial) if `data_format` says so.

    Output shape:
        The input shape.

    Raises:
        ValueError: for an invalid `data_format`.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        self.scale = self.add_weight(shape=(input_shape[self.axis],), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return keras.ops.multiply(inputs, keras.ops.reshape(self.scale, shape))  # (channels,) → (1, …, channels, …, 1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
