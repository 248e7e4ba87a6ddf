"""The channel shuffle between two grouped convolutions."""

from typing import Any

import keras
from keras import ops

from keras_se._validation import positive_integer
from keras_se.layers.base import data_format_of


@keras.saving.register_keras_serializable(package="keras_se")
class ChannelShuffle(keras.layers.Layer):
    """Distributes the channels of each group over all groups: channel `i·n + j` moves to `j·groups + i`.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import ChannelShuffle
    >>> print(np.array(ChannelShuffle(2)(np.arange(6.0).reshape(1, 1, 1, 6)))[0, 0, 0])
    [0. 3. 1. 4. 2. 5.]

    Args:
        groups: Positive integer that divides the number of channels; each group has n channels.
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width) if `data_format` says so.

    Output shape:
        The input shape.

    Raises:
        ValueError: for an argument out of its range, or channels that `groups` does not divide.

    Reference:
        [ShuffleNet](https://arxiv.org/abs/1707.01083), Zhang et al., section 3.1.
    """

    def __init__(self, groups: int, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups = positive_integer("groups", groups)
        self.data_format = data_format_of(data_format)

    def build(self, input_shape: tuple) -> None:
        channels = input_shape[self._axis]
        if len(input_shape) != 4 or not channels or channels % self.groups:
            raise ValueError(
                f"ChannelShuffle requires inputs of rank 4 whose channels are a multiple of groups={self.groups}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    @property
    def _axis(self) -> int:
        return 1 if self.data_format == "channels_first" else -1

    def call(self, inputs: Any) -> Any:
        # (batch, h, w, groups · n) → (batch · h · w, groups, n) → (…, n, groups) → (batch, h, w, n · groups).
        # At most three moving axes: some runtimes copy the tensor once for each further axis.
        shape = (-1, *ops.shape(inputs)[1:])
        n = inputs.shape[self._axis] // self.groups
        first = self.data_format == "channels_first"
        grouped = (-1, self.groups, n, shape[2] * shape[3]) if first else (-1, self.groups, n)
        return ops.reshape(ops.transpose(ops.reshape(inputs, grouped), (0, 2, 1, 3) if first else (0, 2, 1)), shape)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "data_format": self.data_format}
