"""Resizes a feature map to the size of another one."""

from typing import Any

import keras
from keras import ops

from keras_se.layers.base import data_format_of


@keras.saving.register_keras_serializable(package="keras_se")
class ResizeLike(keras.layers.Layer):
    """Resizes its first input to the height and width of its second, bilinearly, for any two sizes.

    In a decoder the finer map is often not exactly twice as large as the coarse one: sizes may be odd, or convolutions
    unpadded. Exported for a known size, the layer is one operation.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import ResizeLike
    >>> print(np.array(ResizeLike()([np.array([[[[0.0], [4.0]]]]), np.zeros((1, 1, 4, 8))]))[0, 0, :, 0])
    [0. 1. 3. 4.]

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        A list of two: (batch, height, width, channels) each, or (batch, channels, height, width) if `data_format` says
        so. Only the height and width of the second matter.

    Output shape:
        The shape of the first input, with the height and width of the second.

    Raises:
        ValueError: for an argument out of its range, or inputs other than two of rank 4.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)

    def build(self, input_shape: Any) -> None:
        self._shapes(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        axis = self._axis
        size = ops.shape(like)[axis : axis + 2]
        if all(isinstance(length, int) for length in size):
            return ops.image.resize(x, size, data_format=self.data_format)
        # keras.ops.image.resize requires a size that is known when the graph is built.
        return _interpolated(_interpolated(x, axis, size[0]), axis + 1, size[1])

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape, like = self._shapes(input_shape)
        axis = self._axis
        return (*shape[:axis], *like[axis : axis + 2], *shape[axis + 2 :])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    @property
    def _axis(self) -> int:
        """The first of the two spatial axes."""
        return 2 if self.data_format == "channels_first" else 1

    def _shapes(self, input_shape: Any) -> tuple[tuple, tuple]:
        shapes = [shape for shape in input_shape if isinstance(shape, tuple | list) and len(shape) == 4]
        if len(input_shape) != 2 or len(shapes) != 2:
            raise ValueError(
                "ResizeLike requires two inputs of rank 4, a map and a map of the new size. "
                f"Received: input_shape={input_shape}"
            )
        return tuple(shapes[0]), tuple(shapes[1])


def _interpolated(x: Any, axis: int, length: Any) -> Any:
    """Linear interpolation along an axis, as a product with a matrix (length, before) of shares of the old pixels."""
    before = ops.shape(x)[axis]
    step = ops.divide(ops.cast(before, "float32"), ops.cast(length, "float32"))
    centres = (ops.arange(length, dtype="float32") + 0.5) * step - 0.5
    old = ops.arange(before, dtype="float32")
    centres = ops.clip(centres, 0.0, old[-1])  # beyond the outermost centres, the edge value continues
    weights = ops.relu(1 - ops.abs(ops.expand_dims(centres, 1) - old))
    return ops.moveaxis(ops.tensordot(x, ops.cast(weights, x.dtype), [[axis], [1]]), -1, axis)
