"""What a network lacks to compute what weights were trained for: options that change no shape."""

from typing import Any

import keras

from keras_se.layers import SqueezeExcite


def layer_of(model: keras.Model, name: str) -> Any:
    return next((layer for layer in model.layers if layer.name == name), None)


def lacking(*options: tuple[bool, str]) -> list[str]:
    """The options that a network does not have."""
    return [option for has, option in options if not has]


def se_needs(model: keras.Model, follower: str, gate: Any) -> list[str]:
    """What SE lacks: its place, before `follower` in a block, its gate, and what else it computes."""
    blocks = [layer for layer in model.layers if isinstance(layer, SqueezeExcite)]
    # Keras has no public way to ask what reads a layer's output.
    readers = [{node.operation.name for node in layer._outbound_nodes} for layer in blocks]
    placed = all(
        f"{layer.name.removesuffix('_se')}_{follower}" in names for layer, names in zip(blocks, readers, strict=True)
    )
    return lacking(
        (placed, 'placement="standard"'),
        (all(layer.gate is gate for layer in blocks), f'SE of gate="{gate.__name__}"'),
        (all(layer.activation is keras.activations.relu for layer in blocks), 'SE of activation="relu"'),
        (all(isinstance(layer.squeeze, str) and layer.squeeze == "avg" for layer in blocks), 'SE of squeeze="avg"'),
    )
