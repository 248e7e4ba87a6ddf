"""Copies layers and their weights, the state of adapted layers, and which layers are frozen."""

import tempfile
from collections.abc import Callable
from typing import Any

import keras

from keras_se.graph.keras_private import flattened, lambda_output_shape
from keras_se.graph.walk import has_graph


class CannotCopyError(ValueError):
    """The configuration of a layer, of this name, does not make the layer again."""

    def __init__(self, layer: str):
        super().__init__(
            "The layers of the model must have a get_config() from which from_config() makes the same layer. A Python "
            "lambda inside a layer can be replaced by a registered function "
            f"(keras.saving.register_keras_serializable). Received: {layer!r}, which cannot be copied"
        )
        self.layer = layer


def cloned(model: keras.Model, **options: Any) -> keras.Model:
    """`keras.models.clone_model`, but the copy is not compiled.

    Keras would compile the copy of a compiled model, which fails for a loss or metric that is not registered.
    """
    compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model, **options)
    finally:
        model.compiled = compiled


def copied(layer: Any, change: Callable[[Any], Any] = lambda config: config) -> Any:
    """A copy of a layer, of an operation or of a model with a graph, without its weights.

    Args:
        layer: The layer.
        change: A function from the configuration of a layer to that of its copy.

    Raises:
        CannotCopyError: if a configuration does not make the layer again.
    """
    if has_graph(layer):
        return cloned(layer, clone_function=lambda inner: copied(inner, change))
    try:
        config = change(layer.get_config())
        if type(layer) is not keras.layers.Lambda:
            return type(layer).from_config(config)
        # Keras does not deserialize a Python lambda, which could be anybody's code. Here the functions are at hand.
        functions = {"function": layer.function, "mask": layer.mask, "arguments": layer.arguments}
        return keras.layers.Lambda(**{**config, **functions, "output_shape": lambda_output_shape(layer)})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise CannotCopyError(layer.name) from error


def remade(layer: Any, kind: Any, **options: Any) -> Any:
    """A layer of another class, or with other options, from a layer's configuration, for weights that are set next.

    Raises:
        CannotCopyError: if the configuration does not make such a layer.
    """
    try:
        config = layer.get_config()
        for name in config:
            if name.endswith(("_regularizer", "_constraint")):
                config[name] = None
            elif name.endswith("_initializer"):
                config[name] = "zeros"
        return kind.from_config({**config, **options})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise CannotCopyError(layer.name) from error


def copy_weights(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Gives a copy of a layer or model the weights of its source, and the state that preprocessing layers adapted.

    That state is outside the weights: vocabularies, the boundaries of bins, and constants computed from weights.

    Raises:
        ValueError: for a copy with other layers inside.
    """
    copy.set_weights(source.get_weights())
    for layer, new in zip(_adapted(source), _adapted(copy), strict=True):
        if isinstance(layer, keras.layers.Discretization):
            # Its configuration has the boundaries, which `finalize_state` would not restore.
            new.bin_boundaries, new.summary = layer.bin_boundaries, layer.summary
        elif hasattr(layer, "save_assets"):
            store: dict[str, Any] = {}  # in the order of a .keras file
            layer.save_own_variables(store)
            new.load_own_variables(store)
            with tempfile.TemporaryDirectory() as folder:
                layer.save_assets(folder)
                new.load_assets(folder)
        else:
            new.finalize_state()  # Normalization keeps constants that it computes from its weights


def _adapted(layer: keras.layers.Layer) -> list[Any]:
    # A vectorization saves the lookup that it holds.
    found = [x for x in flattened(layer) if hasattr(x, "finalize_state") or hasattr(x, "save_assets")]
    held = {id(part) for holder in found for part in flattened(holder, include_self=False)}
    return [x for x in found if id(x) not in held]


def check_owners(model: keras.Model) -> None:
    """Refuses layers with weights that are parts of two models: the copies would not share their weights."""
    owners: dict[int, keras.Model] = {}
    waiting, seen = [model], set()
    while waiting:
        owner = waiting.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        for layer in owner.layers:
            other = owners.setdefault(id(layer), owner)
            if other is not owner and layer.weights:
                raise ValueError(
                    "Each layer must be a part of one model: the copies of a layer that two models share would not be "
                    f"shared. Received: {layer.name!r} in {other.name!r} and in {owner.name!r}"
                )
        waiting += [layer for layer in owner.layers if has_graph(layer)]


def uncompiled(model: keras.Model) -> keras.Model:
    """The same graph and layers in a plain model that is not compiled."""
    if isinstance(model, keras.Sequential):
        return model
    return keras.Model(model.input, model.output, name=model.name)


def freeze_like(model: keras.Model, copy: keras.Model, frozen: bool) -> None:
    """Freezes a copy's layers as in the model, or all if `frozen`: configurations omit this for inner layers."""
    copies = {layer.name: layer for layer in copy.layers}
    for layer in (layer for layer in model.layers if layer.weights and layer.name in copies):
        new = copies[layer.name]
        if has_graph(layer):
            freeze_like(layer, new, frozen)
            continue
        if type(new) is not type(layer):  # a replacement, with other layers inside
            new.trainable = layer.trainable and not frozen
            continue
        for part, new_part in zip(flattened(layer), flattened(new), strict=True):
            new_part.trainable = part.trainable and not frozen
