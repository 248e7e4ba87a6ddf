"""Weights of `keras.applications`, in the same networks here: plain, or with SE that changes nothing at first."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_se.layers import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite

EXCITATIONS = (SqueezeExcite, SpatialSqueezeExcite, ConcurrentSqueezeExcite)
# The builder here → the one there, and the options that both have.
NETWORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SEMobileNet": ("MobileNet", ("alpha", "depth_multiplier")),
    "SEMobileNetV2": ("MobileNetV2", ("alpha",)),
    "SEMobileNetV3Small": ("MobileNetV3Small", ("alpha", "minimalistic")),
    "SEMobileNetV3Large": ("MobileNetV3Large", ("alpha", "minimalistic")),
    "SEDenseNet121": ("DenseNet121", ()),
    "SEDenseNet169": ("DenseNet169", ()),
    "SEDenseNet201": ("DenseNet201", ()),
    "SEInceptionV3": ("InceptionV3", ()),
    "SEInceptionResNetV2": ("InceptionResNetV2", ()),
}
# The layers of heads, here and there.
HEAD = ("predictions", "hidden", "logits")
THEIR_HEAD = ("predictions", "conv_preds", "conv_2", "logits")


class Pair(NamedTuple):
    """A variable here, and the value that it gets."""

    layer: str
    variable: Any
    value: Any


def check_counterpart(builder: str) -> None:
    if builder not in NETWORKS:
        raise ValueError(
            f'weights="imagenet" are those of keras.applications, for {", ".join(NETWORKS)}. Received: {builder}'
        )


def pretrained(builder: str, options: dict[str, Any], include_top: bool) -> keras.Model:
    """The network of `keras.applications` with the weights that it downloads.

    Raises:
        ValueError: for a builder that has no counterpart there.
    """
    check_counterpart(builder)
    name, shared = NETWORKS[builder]
    return getattr(keras.applications, name)(
        weights="imagenet", include_top=include_top, **{key: options[key] for key in shared}
    )


def copy(reference: keras.Model, model: keras.Model) -> list[str]:
    """Gives `model` the weights of a network of `keras.applications` that is the same but for SE.

    Layers are taken in their order, which is the same in both. An SE layer that the reference lacks gets a last
    projection of zeros: with the gate `twice_sigmoid`, which is 1 there, the network computes what the reference does.
    A classifier of other classes keeps its own weights.

    Returns:
        The names of layers that keep their own weights.

    Raises:
        ValueError: if the networks are not the same. The model is left as it was.
    """
    theirs = [(layer, value) for layer in reference.layers for value in _saved(layer)]
    own_se = any("squeeze_excite" in layer.name for layer, _ in theirs)  # MobileNetV3's
    added = [] if own_se else _added(model)
    ours = [(layer, variable) for layer in model.layers if layer not in added for variable in _saved(layer)]
    pairs = [Pair(layer.name, variable, value) for (layer, variable), (_, value) in zip(ours, theirs, strict=False)]
    missing = {layer.name for layer, _ in ours[len(pairs) :]} | {pair.layer for pair in pairs if not _fits(pair)}
    left_over = {layer.name for layer, _ in theirs[len(pairs) :]}
    if not (missing <= set(HEAD) and left_over <= set(THEIR_HEAD)):
        raise ValueError(
            f"weights must be those of the network that {model.name!r} is without SE. Received: {reference.name!r}, "
            f"which differs in {', '.join(sorted(missing | left_over)[:5])}"
        )
    left_out = sorted(missing)
    for pair in pairs:
        if pair.layer not in left_out:
            pair.variable.assign(np.reshape(keras.ops.convert_to_numpy(pair.value), pair.variable.shape))
    for layer in added:
        _open(layer)
    return left_out


def _saved(layer: Any) -> Iterator[Any]:
    return (variable for variable in layer.variables if "seed" not in variable.name)


def _fits(pair: Pair) -> bool:
    """Whether the shapes are the same, but for the axes of length 1 that a 1x1 convolution has."""
    here, there = tuple(pair.variable.shape), tuple(pair.value.shape)
    return here == there or (len(there) == 4 and there == (1, 1, *here))


def _added(model: keras.Model) -> list[Any]:
    """The excitations of a network that the reference lacks; each must be able to change nothing.

    Raises:
        ValueError: for one whose gates are not 1 once its last projection is zero.
    """
    added = [layer for layer in model.layers if isinstance(layer, EXCITATIONS)]
    for layer in added:
        if type(layer) is not SqueezeExcite or float(layer.gate(keras.ops.zeros((1, 1)))[0, 0]) != 1:
            raise ValueError(
                "With weights of keras.applications, SE must be able to begin at a gate of 1: give se=lambda stage: "
                "SqueezeExcite(16, gate=keras_se.layers.twice_sigmoid), or r=None for the plain network. "
                f"Received: {type(layer).__name__} with another gate at {layer.name!r} of {model.name!r}"
            )
    return added


def _open(layer: Any) -> None:
    """Makes the gates of a layer 1."""
    layer.expand_kernel.assign(keras.ops.zeros(layer.expand_kernel.shape))
    if layer.expand_bias is not None:
        layer.expand_bias.assign(keras.ops.zeros(layer.expand_bias.shape))
