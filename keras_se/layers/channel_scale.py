"""What is left of squeeze-and-excitation whose gates are constant."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_se")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a weight of its own.

        y = s · x

    Example:

    >>> import keras
    >>> from keras_se.layers import ChannelScale
    >>> keras.Sequential([keras.Input((32, 32, 64)), ChannelScale()]).count_params()
    64

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable` and what else `keras.layers.Layer` takes.

    Input shape:
        Rank 3 or more: (batch, *spatial, channels), or (batch, channels, *spatial) if `data_format` says so.

    Output shape:
        The input shape.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if data_format not in (None, "channels_first", "channels_last"):
            raise ValueError(
                'data_format must be "channels_last", "channels_first" or None (the Keras setting). '
                f"Received: data_format={data_format!r}"
            )
        self.data_format = data_format or keras.config.image_data_format()
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.axis = 1 if self.data_format == "channels_first" else len(input_shape) - 1
        self.scale = self.add_weight(shape=(input_shape[self.axis],), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return keras.ops.multiply(inputs, keras.ops.reshape(self.scale, shape))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}
