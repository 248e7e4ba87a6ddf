"""Copies weights of `keras.applications` into the same networks here, plain or with SE that starts as the identity."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_se._text import listed
from keras_se.layers import EXCITATIONS, SqueezeExcite
from keras_se.weights.layer_diff import differences
from keras_se.weights.preprocessing import Preprocessing
from keras_se.weights.requirements import find_layer, missing_se_options, network_layers

# Preprocessing: pixels scaled to -1 … 1; unchanged, for a network that includes it; or ImageNet's mean and deviation.
SIGNED = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear")
RAW = Preprocessing(mean=(0,) * 3, std=(1 / 255,) * 3, interpolation="bilinear")
STANDARDISED = Preprocessing(interpolation="bilinear")
INCEPTION = replace(SIGNED, size=(299, 299))
V3 = ("alpha", "minimalistic", "include_preprocessing")
# The builder here → the one of keras.applications, the options that both have, and the preprocessing.
NETWORKS: dict[str, tuple[str, tuple[str, ...], Preprocessing]] = {
    "SEMobileNet": ("MobileNet", ("alpha", "depth_multiplier"), SIGNED),
    "SEMobileNetV2": ("MobileNetV2", ("alpha",), SIGNED),
    "SEMobileNetV3Small": ("MobileNetV3Small", V3, SIGNED),
    "SEMobileNetV3Large": ("MobileNetV3Large", V3, SIGNED),
    "SEDenseNet121": ("DenseNet121", (), STANDARDISED),
    "SEDenseNet169": ("DenseNet169", (), STANDARDISED),
    "SEDenseNet201": ("DenseNet201", (), STANDARDISED),
    "SEInceptionV3": ("InceptionV3", (), INCEPTION),
    "SEInceptionResNetV2": ("InceptionResNetV2", (), INCEPTION),
}
# The layers of heads, here and in keras.applications.
HEAD = ("predictions", "hidden", "logits")
THEIR_HEAD = ("predictions", "conv_preds", "conv_2", "logits")


class Pair(NamedTuple):
    """A variable of the network, the variable that it is copied from, and the layers of both."""

    layer: Any
    variable: Any
    theirs: Any
    source: Any


class Copied(NamedTuple):
    """The layers that keep their random weights, and why, as a part of a sentence."""

    left_out: list[str]
    why: str


def check_counterpart(builder: str) -> None:
    if builder not in NETWORKS:
        raise ValueError(
            f'weights="imagenet" requires a network of keras.applications: {", ".join(NETWORKS)}. Received: {builder}'
        )


def pretrained(builder: str, options: dict[str, Any], include_top: bool) -> keras.Model:
    """The counterpart of a builder's network in `keras.applications`, with the weights that it downloads."""
    name, shared, _ = NETWORKS[builder]
    return getattr(keras.applications, name)(
        weights="imagenet", include_top=include_top, **{key: options[key] for key in shared}
    )


def preprocessing_for(builder: str, model: keras.Model) -> Preprocessing | None:
    """The preprocessing of a builder's network with weights of `keras.applications`, if it is known."""
    if find_layer(model, "preprocessing") is not None:
        return RAW
    return NETWORKS[builder][2] if builder in NETWORKS else None


def copy_weights(reference: keras.Model, model: keras.Model) -> Copied:
    """Copies the weights of a network of `keras.applications` to `model`, which is the same network apart from SE.

    Layers are paired by their order, which is the same in both. In an SE layer that the reference lacks, the last
    projection is set to zero: the gate `twice_sigmoid` is then 1, and the network computes what the reference does.
    A classifier of another number of classes keeps its random weights.

    Raises:
        ValueError: if the networks differ in the shapes of their weights, or in attributes of layers. The model is
            then unchanged.
    """
    theirs = [(layer, value) for layer in reference.layers for value in _saved(layer)]
    reference_has_se = any("squeeze_excite" in layer.name for layer, _ in theirs)
    excitations = [layer for layer in network_layers(model) if isinstance(layer, EXCITATIONS)]
    if reference_has_se and not excitations:
        raise ValueError(
            f"The weights of {reference.name!r} include SE, so the network must have it: r must not be None, and se "
            f"must return layers. Received: {model.name!r} without SE"
        )
    added = [] if reference_has_se else excitations
    ours = [(layer, variable) for layer in network_layers(model) if layer not in added for variable in _saved(layer)]
    pairs = [Pair(*one, *other) for one, other in zip(ours, theirs, strict=False)]
    missing = {layer.name for layer, _ in ours[len(pairs) :]} | {pair.layer.name for pair in pairs if not _fits(pair)}
    left_over = {layer.name for layer, _ in theirs[len(pairs) :]}
    fitting = [pair for pair in pairs if pair.layer.name not in missing]
    if missing <= set(HEAD) and left_over <= set(THEIR_HEAD):
        faults = _faults(reference, model, fitting)
        if reference_has_se:  # MobileNetV3's
            faults += missing_se_options(model, "project", keras.activations.hard_sigmoid)
    else:
        faults = sorted(missing | left_over)
    if faults:
        raise ValueError(
            f"weights must be of the same network as {model.name!r}, apart from SE. Received: {reference.name!r}, "
            f"which differs in {listed(faults)}"
        )
    _check_gates(model, added)
    for pair in fitting:
        pair.variable.assign(np.reshape(keras.ops.convert_to_numpy(pair.source), pair.variable.shape))
    for layer in added:  # gates of 1
        for variable in (layer.expand_kernel, layer.expand_bias):
            if variable is not None:
                variable.assign(keras.ops.zeros(variable.shape))
    headless = not any(layer.name in THEIR_HEAD for layer, _ in theirs)
    return Copied(sorted(missing), "a classifier, unlike" if headless else "other classes than")


def _faults(reference: keras.Model, model: keras.Model, pairs: list[Pair]) -> list[str]:
    """The attributes in which the networks differ although their weights fit."""
    found = differences(dict.fromkeys((pair.layer, pair.theirs) for pair in pairs))
    theirs = any(isinstance(layer, keras.layers.Rescaling) for layer in reference.layers)
    here = find_layer(model, "preprocessing") is not None
    return found + ([f"include_preprocessing={theirs}"] if here != theirs else [])


def _saved(layer: Any) -> Iterator[Any]:
    return (variable for variable in layer.variables if "seed" not in variable.name)


def _fits(pair: Pair) -> bool:
    """Whether the shapes are equal, apart from the axes of length 1 of a 1x1 convolution."""
    here, there = tuple(pair.variable.shape), tuple(pair.source.shape)
    return here == there or (len(there) == 4 and there == (1, 1, *here))


def _check_gates(model: keras.Model, added: list[Any]) -> None:
    """Refuses added SE layers whose gates are not 1 when their last projection is zero."""
    for layer in added:
        if type(layer) is not SqueezeExcite or float(layer.gate(keras.ops.zeros((1, 1)))[0, 0]) != 1:
            raise ValueError(
                "Weights of keras.applications require SE whose gates can start at 1: pass se=lambda stage: "
                "SqueezeExcite(16, gate=keras_se.layers.twice_sigmoid), or r=None for the plain network. "
                f"Received: {type(layer).__name__} with another gate at {layer.name!r} of {model.name!r}"
            )
