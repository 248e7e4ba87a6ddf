"""Concurrent spatial and channel squeeze-and-excitation (scSE)."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_se._validation import one_of
from keras_se.layers.spatial_squeeze_excite import SpatialSqueezeExcite
from keras_se.layers.squeeze_excite import SqueezeExcite

COMBINATIONS = {"max": ops.maximum, "add": ops.add}


@keras.saving.register_keras_serializable(package="keras_se")
class ConcurrentSqueezeExcite(keras.layers.Layer):
    """Rescales by channel (`SqueezeExcite`) and by position (`SpatialSqueezeExcite`) in parallel (scSE).

        y = max(s · x, q · x)   or   s · x + q · x

    Made for dense prediction: segmentation, detection heads, generation.

    Example:

    >>> import keras
    >>> from keras_se import ConcurrentSqueezeExcite
    >>> model = keras.Sequential([keras.Input((32, 32, 64)), ConcurrentSqueezeExcite(r=2)])
    >>> model.layers[0].channel.r
    2

    Args:
        r: Positive integer, the reduction ratio of the channel part. Roy et al. use 2.
        combination: `"max"`, the elementwise maximum, as in the paper; or `"add"`.
        bottleneck, divisor, squeeze, activation: Arguments of the channel part, as in `SqueezeExcite`.
        gate, use_bias, data_format, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint: Arguments of both parts, as in `SqueezeExcite`.
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

    def __init__(
        self,
        r: int = 16,
        *,
        combination: str = "max",
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
        super().__init__(**kwargs)
        self.combination = one_of("combination", combination, COMBINATIONS)
        shared = {
            "gate": gate,
            "use_bias": use_bias,
            "data_format": data_format,
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
            "dtype": self.dtype_policy,
        }
        self.channel = SqueezeExcite(
            r, bottleneck=bottleneck, divisor=divisor, squeeze=squeeze, activation=activation, name="channel", **shared
        )
        self.spatial = SpatialSqueezeExcite(name="spatial", **shared)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        for part in (self.channel, self.spatial):
            if not part.built:
                part.build(input_shape)
        self.input_spec = self.channel.input_spec
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return COMBINATIONS[self.combination](self.channel(inputs, mask=mask), self.spatial(inputs))

    def excitation(self, inputs: Any, mask: Any = None) -> Any:
        """The channel gates of `inputs`, shape (batch, channels). `layer.spatial.excitation` has those of positions."""
        inputs = self.channel.built_for(inputs)
        if not self.built:
            self.build(inputs.shape)
        return self.channel.excitation(inputs, mask)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**self.channel.get_config(), **super().get_config(), "combination": self.combination}
