"""Checks builder options that a checkpoint requires but that its tensor shapes cannot reveal."""

import re
from typing import Any

import keras

from keras_se.graph.keras_private import calls_of, readers_of
from keras_se.layers import SqueezeExcite

# The names of a network's first layers begin so, in every family.
FIRST = re.compile(r"(stem|stage1)_")


def network_input(model: keras.Model) -> Any:
    """The input of the network's first layer. Layers of the user may stand between it and the model's input."""
    first = next((layer for layer in model.layers if FIRST.match(layer.name)), None)
    return model.inputs[0] if first is None else calls_of(first)[0].input_tensors[0]


def network_layers(model: keras.Model) -> list[Any]:
    """The network's layers, without those of the user's `input_tensor`."""
    before = {id(layer) for layer in keras.Model(model.inputs, network_input(model)).layers}
    return [layer for layer in model.layers if id(layer) not in before]


def find_layer(model: keras.Model, name: str) -> Any:
    return next((layer for layer in model.layers if layer.name == name), None)


def missing_options(*options: tuple[bool, str]) -> list[str]:
    """The options that the network does not have, of pairs (whether it has it, the option)."""
    return [option for present, option in options if not present]


def missing_se_options(model: keras.Model, follower: str, gate: Any) -> list[str]:
    """The options that SE lacks, where SE must precede the layer `follower` of its block and have this gate."""
    blocks = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
    readers = [{node.operation.name for node in readers_of(layer)} for layer in blocks]
    placed = all(
        f"{layer.name.removesuffix('_se')}_{follower}" in names for layer, names in zip(blocks, readers, strict=True)
    )
    return missing_options(
        (placed, 'placement="standard"'),
        (all(layer.gate is gate for layer in blocks), f'SE of gate="{gate.__name__}"'),
        (all(layer.activation is keras.activations.relu for layer in blocks), 'SE of activation="relu"'),
        (all(isinstance(layer.squeeze, str) and layer.squeeze == "avg" for layer in blocks), 'SE of squeeze="avg"'),
    )
