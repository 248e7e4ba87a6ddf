"""Weights of `keras.applications`, in the same networks here: plain, or with SE that changes nothing at first."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_se.layers import EXCITATIONS, SqueezeExcite
from keras_se.weights.layer_diff import differences
from keras_se.weights.preprocessing import Preprocessing
from keras_se.weights.requirements import layer_of, own_layers, se_needs

# The builder here → the one there, and the options that both have.
NETWORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SEMobileNet": ("MobileNet", ("alpha", "depth_multiplier")),
    "SEMobileNetV2": ("MobileNetV2", ("alpha",)),
    "SEMobileNetV3Small": ("MobileNetV3Small", ("alpha", "minimalistic", "include_preprocessing")),
    "SEMobileNetV3Large": ("MobileNetV3Large", ("alpha", "minimalistic", "include_preprocessing")),
    "SEDenseNet121": ("DenseNet121", ()),
    "SEDenseNet169": ("DenseNet169", ()),
    "SEDenseNet201": ("DenseNet201", ()),
    "SEInceptionV3": ("InceptionV3", ()),
    "SEInceptionResNetV2": ("InceptionResNetV2", ()),
}
# How images are prepared: from -1 to 1; as they are, for a network that does that itself; or as ImageNet's are.
SIGNED = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear")
RAW = Preprocessing(mean=(0,) * 3, std=(1 / 255,) * 3, interpolation="bilinear")
STANDARDISED = Preprocessing(interpolation="bilinear")
INCEPTION = replace(SIGNED, size=(299, 299))
PREPARED = {
    "SEMobileNet": SIGNED,
    "SEMobileNetV2": SIGNED,
    "SEMobileNetV3Small": SIGNED,
    "SEMobileNetV3Large": SIGNED,
    "SEDenseNet121": STANDARDISED,
    "SEDenseNet169": STANDARDISED,
    "SEDenseNet201": STANDARDISED,
    "SEInceptionV3": INCEPTION,
    "SEInceptionResNetV2": INCEPTION,
}
# The layers of heads, here and there.
HEAD = ("predictions", "hidden", "logits")
THEIR_HEAD = ("predictions", "conv_preds", "conv_2", "logits")


class Pair(NamedTuple):
    """A variable here, the value that it gets, and the layers of both."""

    layer: Any
    variable: Any
    theirs: Any
    value: Any


class Copied(NamedTuple):
    """The names of layers that keep their own weights, and why: what the network has, and the reference has not."""

    left_out: list[str]
    why: str


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


def prepared_for(builder: str, model: keras.Model) -> Preprocessing | None:
    """How images are prepared for a builder's network with weights of `keras.applications`, if that is known."""
    return RAW if layer_of(model, "preprocessing") is not None else PREPARED.get(builder)


def copy(reference: keras.Model, model: keras.Model) -> Copied:
    """Gives `model` the weights of a network of `keras.applications` that is the same but for SE.

    Layers are taken in their order, which is the same in both. An SE layer that the reference lacks gets a last
    projection of zeros: with the gate `twice_sigmoid`, which is 1 there, the network computes what the reference does.
    A classifier of other classes keeps its own weights.

    Raises:
        ValueError: if the networks are not the same, in their weights or in what they compute of them. The model is
            left as it was.
    """
    theirs = [(layer, value) for layer in reference.layers for value in _saved(layer)]
    own_se = any("squeeze_excite" in layer.name for layer, _ in theirs)  # MobileNetV3's
    excitations = [layer for layer in own_layers(model) if isinstance(layer, EXCITATIONS)]
    if own_se and not excitations:
        raise ValueError(
            f"These weights come with SE, so r must not be None, and se not without a layer. Received: {model.name!r} "
            f"without SE, for weights of {reference.name!r}"
        )
    added = [] if own_se else excitations
    ours = [(layer, variable) for layer in own_layers(model) if layer not in added for variable in _saved(layer)]
    pairs = [Pair(*one, *other) for one, other in zip(ours, theirs, strict=False)]
    missing = {layer.name for layer, _ in ours[len(pairs) :]} | {pair.layer.name for pair in pairs if not _fits(pair)}
    left_over = {layer.name for layer, _ in theirs[len(pairs) :]}
    fitting = [pair for pair in pairs if pair.layer.name not in missing]
    if missing <= set(HEAD) and left_over <= set(THEIR_HEAD):
        faults = _faults(reference, model, fitting) + (_se_faults(model) if own_se else [])
    else:
        faults = sorted(missing | left_over)
    if faults:
        raise ValueError(
            f"weights must be those of the network that {model.name!r} is without SE. Received: {reference.name!r}, "
            f"which differs in {', '.join(faults[:5])}"
        )
    _check_gates(model, added)
    for pair in fitting:
        pair.variable.assign(np.reshape(keras.ops.convert_to_numpy(pair.value), pair.variable.shape))
    for layer in added:
        _open(layer)
    headless = not any(layer.name in THEIR_HEAD for layer, _ in theirs)
    return Copied(sorted(missing), "a classifier, unlike" if headless else "other classes than")


def _faults(reference: keras.Model, model: keras.Model, pairs: list[Pair]) -> list[str]:
    """What the networks compute differently of the same weights."""
    found = differences(dict.fromkeys((pair.layer, pair.theirs) for pair in pairs))
    theirs = any(isinstance(layer, keras.layers.Rescaling) for layer in reference.layers)
    here = layer_of(model, "preprocessing") is not None
    return found + ([f"include_preprocessing={theirs}"] if here != theirs else [])


def _se_faults(model: keras.Model) -> list[str]:
    """What SE lacks of that of MobileNetV3 in `keras.applications`."""
    return se_needs(model, "project", keras.activations.hard_sigmoid)


def _saved(layer: Any) -> Iterator[Any]:
    return (variable for variable in layer.variables if "seed" not in variable.name)


def _fits(pair: Pair) -> bool:
    """Whether the shapes are the same, but for the axes of length 1 that a 1x1 convolution has."""
    here, there = tuple(pair.variable.shape), tuple(pair.value.shape)
    return here == there or (len(there) == 4 and there == (1, 1, *here))


def _check_gates(model: keras.Model, added: list[Any]) -> None:
    """Refuses an excitation that the reference lacks if its gates are not 1 once its last projection is zero."""
    for layer in added:
        if type(layer) is not SqueezeExcite or float(layer.gate(keras.ops.zeros((1, 1)))[0, 0]) != 1:
            raise ValueError(
                "With weights of keras.applications, SE must be able to begin at a gate of 1: give se=lambda stage: "
                "SqueezeExcite(16, gate=keras_se.layers.twice_sigmoid), or r=None for the plain network. "
                f"Received: {type(layer).__name__} with another gate at {layer.name!r} of {model.name!r}"
            )


def _open(layer: Any) -> None:
    """Makes the gates of a layer 1."""
    layer.expand_kernel.assign(keras.ops.zeros(layer.expand_kernel.shape))
    if layer.expand_bias is not None:
        layer.expand_bias.assign(keras.ops.zeros(layer.expand_bias.shape))
