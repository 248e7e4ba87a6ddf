"""What layers and operations of `keras.ops` do, as far as the structure of a network tells."""

from typing import Any

import keras
from keras import activations, layers

from keras_se.graph.keras_private import is_of_keras
from keras_se.graph.walk import Call
from keras_se.layers import EXCITATIONS, DDIMStep, ResizeLike

# Layers of this package that may look like others' additions or scalings, and are none.
OURS = (*EXCITATIONS, ResizeLike, DDIMStep)

DROPOUTS = (
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
)
SCALERS = (layers.PReLU, layers.LayerNormalization, layers.GroupNormalization)
# Of `keras.ops`, by class.
ACTIVATIONS = ("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "HardSilu", "Mish", "Celu", "Softplus")
ENLARGING = ("UpSampling1D", "UpSampling2D", "UpSampling3D", "Resizing", "Resize")


def named(layer: Any, *names: str) -> bool:
    """Whether it is a layer or an operation that Keras has under one of these names."""
    return _of_keras(layer) and type(layer).__name__ in names


def _of_keras(layer: Any) -> bool:
    return is_of_keras(type(layer), "layers", "ops")


def _inner(layer: Any) -> Any:
    """The layer whose weights a wrapper norms, or the layer itself."""
    return layer.layer if isinstance(layer, layers.SpectralNormalization) else layer


def convolves(layer: Any) -> bool:
    """Whether a layer has a kernel, and mixes or filters what it gets."""
    weights = getattr(layer, "weights", ())
    return any(len(weight.shape) > 1 for weight in weights) and not isinstance(layer, (*SCALERS, *EXCITATIONS))


def is_depthwise(layer: Any) -> bool:
    layer = _inner(layer)
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return True
    return getattr(layer, "groups", 1) > 1 and layer.groups == getattr(layer, "filters", None)


def is_pointwise(layer: Any) -> bool:
    """Whether it is a convolution of single positions."""
    layer = _inner(layer)
    if isinstance(layer, layers.Dense):
        return True
    plain = isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D) and not is_depthwise(layer)
    return plain and all(size == 1 for size in layer.kernel_size)


def is_spatial(layer: Any) -> bool:
    """Whether it is a convolution of more than single positions."""
    return any(size > 1 for size in getattr(_inner(layer), "kernel_size", ()))


def is_norm(layer: Any) -> bool:
    """Whether it is a norm of what it gets; one of weights, around a layer, is none."""
    others = (layers.Normalization, layers.SpectralNormalization)
    return type(layer).__name__.endswith("Normalization") and not isinstance(layer, others)


def is_activation(layer: Any) -> bool:
    """Whether it is an activation, and nothing else."""
    if isinstance(layer, layers.Activation):
        return layer.activation is not activations.linear
    ours = is_of_keras(type(layer), "layers.activations")
    return ours or named(layer, *ACTIVATIONS)


def activates(layer: Any) -> bool:
    """Whether it ends in an activation: is one, or has one built in."""
    own = getattr(_inner(layer), "activation", None)
    return is_activation(layer) or (convolves(layer) and own not in (None, activations.linear))


def is_pooling(layer: Any) -> bool:
    return _of_keras(layer) and "Pool" in type(layer).__name__


def is_global(layer: Any) -> bool:
    return _of_keras(layer) and type(layer).__name__.startswith("Global")


def pools_globally(call: Call) -> bool:
    """Whether a call makes one value of each channel of a map, or of all channels together."""
    if is_global(call.layer):
        return True
    if named(call.layer, "Mean", "Max"):
        return _reduces_positions(call)
    shape = call.outputs[0][1:]
    return is_pooling(call.layer) and shape != call.inputs[0][1:] and shape.count(1) >= len(shape) - 1


def _reduces_positions(call: Call) -> bool:
    """Whether a reduction is over all positions, with channels last or first; that of channels is for attention."""
    rank = len(call.inputs[0])
    axes = range(rank) if call.layer.axis is None else keras.tree.flatten(call.layer.axis)
    reduced = {axis % rank for axis in axes}
    return reduced >= {*range(1, rank - 1)} or reduced >= {*range(2, rank)}


def enlarges(layer: Any) -> bool:
    if isinstance(layer, ResizeLike) or named(layer, *ENLARGING):
        return True
    return _of_keras(layer) and "Transpose" in type(layer).__name__ and convolves(layer)


def resamples(layer: Any) -> bool:
    """Whether a map gets another size."""
    layer = _inner(layer)
    strides = getattr(layer, "strides", None)
    strides = strides if isinstance(strides, list | tuple) else (strides,)
    if named(layer, "MaxPool", "AveragePool"):
        return True
    return enlarges(layer) or any(isinstance(stride, int) and stride > 1 for stride in strides)


def is_concat(call: Call) -> bool:
    return named(call.layer, "Concatenate") and len(call.reads) > 1


def is_sum(call: Call) -> bool:
    """Whether maps are added: also, together with a scaling, by a layer of somebody's without weights."""
    if len(call.reads) < 2 or any(shape != call.outputs[0] for shape in call.inputs) or len(call.outputs) != 1:
        return False
    foreign = isinstance(call.layer, layers.Layer) and not _of_keras(call.layer) and not call.layer.weights
    return named(call.layer, "Add") or (foreign and not isinstance(call.layer, OURS))


def is_drop(layer: Any) -> bool:
    """Whether a layer drops or scales what goes through it and does nothing else: dropout, LayerScale and the like."""
    if isinstance(layer, (layers.Identity, layers.Rescaling, *DROPOUTS)):
        return True
    if isinstance(layer, layers.Activation):
        return layer.activation is activations.linear
    weights = getattr(layer, "weights", ())
    foreign = isinstance(layer, layers.Layer) and not _of_keras(layer) and not isinstance(layer, OURS)
    return foreign and all(len(weight.shape) < 2 for weight in weights)
