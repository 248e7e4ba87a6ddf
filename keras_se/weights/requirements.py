"""What a network lacks to compute what weights were trained for: options that change no shape."""

import re
from typing import Any

import keras

from keras_se.graph.keras_private import calls_of, readers_of
from keras_se.layers import SqueezeExcite

# What the layers of every network here begin with.
FIRST = re.compile(r"(stem|stage1)_")


def image_of(model: keras.Model) -> Any:
    """What the network's first layer reads: not the model's input, if something of the user's is before it."""
    first = next((layer for layer in model.layers if FIRST.match(layer.name)), None)
    return model.inputs[0] if first is None else calls_of(first)[0].input_tensors[0]


def own_layers(model: keras.Model) -> list[Any]:
    """The network's layers, without those of the user's that it was built on (`input_tensor`)."""
    before = {id(layer) for layer in keras.Model(model.inputs, image_of(model)).layers}
    return [layer for layer in model.layers if id(layer) not in before]


def layer_of(model: keras.Model, name: str) -> Any:
    return next((layer for layer in model.layers if layer.name == name), None)


def lacking(*options: tuple[bool, str]) -> list[str]:
    """The options that a network does not have."""
    return [option for has, option in options if not has]


def se_needs(model: keras.Model, follower: str, gate: Any) -> list[str]:
    """What SE lacks: its place, before `follower` in a block, its gate, and what else it computes."""
    blocks = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
    readers = [{node.operation.name for node in readers_of(layer)} for layer in blocks]
    placed = all(
        f"{layer.name.removesuffix('_se')}_{follower}" in names for layer, names in zip(blocks, readers, strict=True)
    )
    return lacking(
        (placed, 'placement="standard"'),
        (all(layer.gate is gate for layer in blocks), f'SE of gate="{gate.__name__}"'),
        (all(layer.activation is keras.activations.relu for layer in blocks), 'SE of activation="relu"'),
        (all(isinstance(layer.squeeze, str) and layer.squeeze == "avg" for layer in blocks), 'SE of squeeze="avg"'),
    )
