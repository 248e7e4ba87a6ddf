"""How a Keras graph is copied with some of its layers replaced. The model that was passed in is never changed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from keras_se.graph.adapted_state import copy_adapted
from keras_se.graph.walk import has_graph

# A model → the same function as another model, or the model itself.
Rewrite = Callable[[keras.Model], keras.Model]


class CannotCopyError(ValueError):
    """A layer, of this name, whose configuration does not make the layer again."""

    def __init__(self, layer: str):
        super().__init__(
            "The layers of the model must have a get_config() of which from_config() makes the same layer; a Python "
            "lambda that is a part of a layer can be a registered function instead "
            f"(keras.saving.register_keras_serializable). Received: {layer!r}, which cannot be copied"
        )
        self.layer = layer


def replaced(model: keras.Model, by: Callable[[Any], Any]) -> keras.Model:
    """The model with the layers that `by` returns another for, or `None`, also in the models inside it."""
    replacements = nested(model, lambda inner: replaced(inner, by))
    for layer in called_once(model):
        if (new := by(layer)) is not None:
            replacements[layer.name] = new
    return substituted(model, replacements, dropped=set()) if replacements else model


def nested(model: keras.Model, rewrite: Rewrite) -> dict[str, keras.layers.Layer]:
    """The models inside a model that a rewrite changes, rewritten, by name."""
    results = [(layer, rewrite(layer)) for layer in model.layers if has_graph(layer)]
    return {layer.name: result for layer, result in results if result is not layer}


def substituted(
    model: keras.Model,
    replacements: Mapping[str, keras.layers.Layer],
    dropped: set[str],
    added: Callable[[str, int], keras.layers.Layer | None] = lambda name, index: None,
    beside_inputs_of: Mapping[str, str] | None = None,
) -> keras.Model:
    """A copy of the model, with its weights, in which layers are replaced, or dropped: passed over, by name.

    `added` tells which layer to put behind another, by the other's name and which of its calls it is, from 0.
    Replacements that `beside_inputs_of` gives another layer are called with two inputs, of which that layer's own is
    the first. It must come before them in the model, and be called once.
    """
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    counts: Counter[str] = Counter()
    others = beside_inputs_of or {}
    inputs: dict[str, Any] = {}  # of layers that others read, by name

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in replacements:
            return replacements[layer.name]
        copy = copied(layer)
        if isinstance(layer, keras.layers.Layer):  # and not an operation of keras.ops, which has no weights
            copies.append((layer, copy))
        copy.name = layer.name  # a get_config of somebody's may leave it out
        return copy

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        first = keras.tree.flatten((args, kwargs))[0]
        if layer.name in dropped:
            return first
        if layer.name in others.values():
            inputs[layer.name] = first
        outputs = layer([inputs[others[layer.name]], first]) if layer.name in others else layer(*args, **kwargs)
        new = added(layer.name, counts[layer.name])
        counts[layer.name] += 1
        return outputs if new is None else new(outputs)

    functional = (
        keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        if isinstance(model, keras.Sequential)
        else model
    )
    result = cloned(functional, clone_function=clone, call_function=call)
    for layer, copy in copies:
        if layer.name not in dropped:
            copy_weights(layer, copy)
    return result


def cloned(model: keras.Model, **options: Any) -> keras.Model:
    """`keras.models.clone_model`, but the copy is not compiled.

    Keras compiles the copy of a compiled model, too, which fails for a loss or metric that is not registered.
    """
    compiled, model.compiled = model.compiled, False
    try:
        return keras.models.clone_model(model, **options)
    finally:
        model.compiled = compiled


def copied(layer: Any, change: Callable[[Any], Any] = lambda config: config) -> Any:
    """A copy of a layer or operation, without its weights, or of a model with a graph.

    Args:
        layer: The layer.
        change: What is done to configurations.

    Raises:
        CannotCopyError: if its configuration does not make a layer again.
    """
    if has_graph(layer):
        return cloned(layer, clone_function=lambda inner: copied(inner, change))
    try:
        config = change(layer.get_config())
        if type(layer) is not keras.layers.Lambda:
            return type(layer).from_config(config)
        # Its functions are at hand: Keras makes none of the configuration of a Python lambda, which could be anybody's.
        functions = {"function": layer.function, "mask": layer.mask, "arguments": layer.arguments}
        return keras.layers.Lambda(**{**config, **functions, "output_shape": layer._output_shape})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise CannotCopyError(layer.name) from error


def bare_config(layer: Any) -> dict[str, Any]:
    """A layer's configuration for a copy whose weights are set next: nothing need be drawn for them, or regularised."""
    config = layer.get_config()
    for name in config:
        if name.endswith(("_regularizer", "_constraint")):
            config[name] = None
        elif name.endswith("_initializer"):
            config[name] = "zeros"
    return config


def copy_weights(source: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Gives a copy of a layer or model the weights of its source, and what layers compute from weights."""
    copy.set_weights(source.get_weights())
    copy_adapted(source, copy)


def layers_of(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, also those of models inside."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


def called_once(model: keras.Model) -> list[keras.layers.Layer]:
    own = _nodes(model)
    return [layer for layer in model.layers if sum(id(call) in own for call in layer._inbound_nodes) == 1]


def read_once(layer: Any, model: keras.Model) -> bool:
    """Whether a layer is called once, and one layer reads what it returns, and the model does not return it."""
    found, own = calls(layer, model), _nodes(model)
    return (
        layer in model.layers
        and len(found) == 1
        and sum(id(call) in own for call in layer._outbound_nodes) == 1
        and not any(made is output for made in found[0].output_tensors for output in model.outputs)
    )


def calls(layer: keras.layers.Layer, model: keras.Model) -> list[Any]:
    """The calls of a layer in a model: a layer can be part of other models, too."""
    # Keras has no public way to ask how often, and with what, a layer is called in a graph.
    own = _nodes(model)
    return [call for call in layer._inbound_nodes if id(call) in own]


def _nodes(model: keras.Model) -> set[int]:
    # A Sequential model that was loaded from a file has called its first layer for another graph before.
    graph = model._functional if isinstance(model, keras.Sequential) else model
    return {id(call) for depth in graph._nodes_by_depth.values() for call in depth}


def check_owners(model: keras.Model) -> None:
    """Refuses layers that are parts of two models: of each there would be two copies, with weights of their own."""
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
                    "Each layer must be a part of one model: a copy of what two models share would not be shared. "
                    f"Received: {layer.name!r} in {other.name!r} and in {owner.name!r}"
                )
        waiting += [layer for layer in owner.layers if has_graph(layer)]


def uncompiled(model: keras.Model) -> keras.Model:
    """The same graph and layers in a model that is not compiled: what it was compiled with need not be copied."""
    if isinstance(model, keras.Sequential):
        return model
    return keras.Model(model.input, model.output, name=model.name)


def freeze_like(model: keras.Model, copy: keras.Model, frozen: bool) -> None:
    """Freezes what is frozen: configurations do not tell it of layers inside of layers. `frozen` is for everything."""
    copies = {layer.name: layer for layer in copy.layers}
    for layer in (layer for layer in model.layers if layer.weights and layer.name in copies):
        new = copies[layer.name]
        if has_graph(layer):
            freeze_like(layer, new, frozen)
            continue
        if type(new) is not type(layer):  # the layers inside are others, too
            new.trainable = layer.trainable and not frozen
            continue
        for part, same in zip(layer._flatten_layers(), new._flatten_layers(), strict=True):
            same.trainable = part.trainable and not frozen
