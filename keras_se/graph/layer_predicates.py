"""Predicates on layers and operations of `keras.ops`: convolution, norm, activation, pooling, sum and the like."""

from typing import Any

import keras
from keras import activations, layers

from keras_se.graph.keras_private import is_of_keras
from keras_se.graph.walk import Call
from keras_se.layers import EXCITATIONS, DDIMStep, ResizeLike

# Layers of this package that look like custom additions or scalings, but are neither.
OURS = (*EXCITATIONS, ResizeLike, DDIMStep)

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
DROPOUTS = (
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
)
SCALERS = (layers.PReLU, layers.LayerNormalization, layers.GroupNormalization)
# Classes of operations of `keras.ops`.
ACTIVATIONS = ("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "HardSilu", "Mish", "Celu", "Softplus")
ENLARGING = ("UpSampling1D", "UpSampling2D", "UpSampling3D", "Resizing", "Resize")


def is_keras(layer: Any, *names: str) -> bool:
    """Whether it is a layer or an operation of Keras, of a class with one of these names."""
    return _of_keras(layer) and type(layer).__name__ in names


def _of_keras(layer: Any) -> bool:
    return is_of_keras(type(layer), "layers", "ops")


def _unwrapped(layer: Any) -> Any:
    """The layer in a spectral normalization, or the layer itself."""
    return layer.layer if isinstance(layer, layers.SpectralNormalization) else layer


def convolves(layer: Any) -> bool:
    """Whether a layer has a kernel that mixes or filters its input."""
    weights = getattr(layer, "weights", ())
    return any(len(weight.shape) > 1 for weight in weights) and not isinstance(layer, (*SCALERS, *EXCITATIONS))


def is_depthwise(layer: Any) -> bool:
    layer = _unwrapped(layer)
    if isinstance(layer, DEPTHWISE):
        return True
    return getattr(layer, "groups", 1) > 1 and layer.groups == getattr(layer, "filters", None)


def is_pointwise(layer: Any) -> bool:
    """Whether it is a 1x1 convolution, or a dense layer."""
    layer = _unwrapped(layer)
    if isinstance(layer, layers.Dense):
        return True
    plain = isinstance(layer, CONVOLUTIONS) and not is_depthwise(layer)
    return plain and all(size == 1 for size in layer.kernel_size)


def is_spatial(layer: Any) -> bool:
    """Whether it is a convolution with a window of more than one position."""
    return any(size > 1 for size in getattr(_unwrapped(layer), "kernel_size", ()))


def is_norm(layer: Any) -> bool:
    """Whether it normalizes its input: not a layer's weights, as spectral normalization does."""
    others = (layers.Normalization, layers.SpectralNormalization)
    return type(layer).__name__.endswith("Normalization") and not isinstance(layer, others)


def is_activation(layer: Any) -> bool:
    """Whether it is nothing but an activation."""
    if isinstance(layer, layers.Activation):
        return layer.activation is not activations.linear
    of_keras = is_of_keras(type(layer), "layers.activations")
    return of_keras or is_keras(layer, *ACTIVATIONS)


def activates(layer: Any) -> bool:
    """Whether it is an activation, or a convolution with one built in."""
    built_in = getattr(_unwrapped(layer), "activation", None)
    return is_activation(layer) or (convolves(layer) and built_in not in (None, activations.linear))


def is_pooling(layer: Any) -> bool:
    return _of_keras(layer) and "Pool" in type(layer).__name__


def is_global_pooling(layer: Any) -> bool:
    return _of_keras(layer) and type(layer).__name__.startswith("Global")


def pools_globally(call: Call) -> bool:
    """Whether a call reduces a map to one value for each channel, or for all channels together."""
    if is_global_pooling(call.layer):
        return True
    if is_keras(call.layer, "Mean", "Max"):
        return _reduces_positions(call)
    shape = call.outputs[0][1:]
    return is_pooling(call.layer) and shape != call.inputs[0][1:] and shape.count(1) >= len(shape) - 1


def _reduces_positions(call: Call) -> bool:
    """Whether a reduction is over all positions, with channels last or first. Spatial attention reduces channels."""
    rank = len(call.inputs[0])
    axes = range(rank) if call.layer.axis is None else keras.tree.flatten(call.layer.axis)
    reduced = {axis % rank for axis in axes}
    return reduced >= {*range(1, rank - 1)} or reduced >= {*range(2, rank)}


def enlarges(layer: Any) -> bool:
    if isinstance(layer, ResizeLike) or is_keras(layer, *ENLARGING):
        return True
    return _of_keras(layer) and "Transpose" in type(layer).__name__ and convolves(layer)


def resamples(layer: Any) -> bool:
    """Whether it changes the size of a map."""
    layer = _unwrapped(layer)
    strides = getattr(layer, "strides", None)
    strides = strides if isinstance(strides, list | tuple) else (strides,)
    if is_keras(layer, "MaxPool", "AveragePool"):
        return True
    return enlarges(layer) or any(isinstance(stride, int) and stride > 1 for stride in strides)


def is_concat(call: Call) -> bool:
    return is_keras(call.layer, "Concatenate") and len(call.reads) > 1


def is_sum(call: Call) -> bool:
    """Whether maps are added. A custom layer without weights counts, too: it may scale them as well."""
    if len(call.reads) < 2 or any(shape != call.outputs[0] for shape in call.inputs) or len(call.outputs) != 1:
        return False
    custom = isinstance(call.layer, layers.Layer) and not _of_keras(call.layer) and not call.layer.weights
    return is_keras(call.layer, "Add") or (custom and not isinstance(call.layer, OURS))


def is_dropout_or_scale(layer: Any) -> bool:
    """Whether a layer does nothing but drop or scale its input: dropout, LayerScale and the like."""
    if isinstance(layer, (layers.Identity, layers.Rescaling, *DROPOUTS)):
        return True
    if isinstance(layer, layers.Activation):
        return layer.activation is activations.linear
    weights = getattr(layer, "weights", ())
    custom = isinstance(layer, layers.Layer) and not _of_keras(layer) and not isinstance(layer, OURS)
    return custom and all(len(weight.shape) < 2 for weight in weights)
