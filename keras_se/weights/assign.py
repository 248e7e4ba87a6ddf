"""Puts the tensors of a checkpoint into a network: every one once, or none at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_se.weights.checkpoint import Tensors, check_finite
from keras_se.weights.mapping import AXES, IGNORED, Family, Target, target
from keras_se.weights.requirements import own_layers
from keras_se.weights.timm import FAMILIES

LISTED = 5
# The axes behind those in `AXES` that a tensor may have: a projection may be a 1x1 convolution.
TRAILING = {"project": (1, 1)}


def assign(model: keras.Model, tensors: Tensors, *, head: bool = True) -> list[str]:
    """Sets every variable of the network, but not of what it was built on, to a tensor of the checkpoint.

    Args:
        model: The network.
        tensors: The checkpoint's tensors.
        head: Whether the network has its head, all but the classifier of which must fit then. If the classifier does
            not, it is left out.

    Returns:
        The tensors of a classifier that was left out, as `name (shape)`.

    Raises:
        ValueError: if a tensor is missing, left over, of another shape or not finite, or if the network does not
            compute what the weights were trained for. The network is left as it was.
    """
    family = family_of(tensors)
    layers = {layer.name: layer for layer in own_layers(model)}
    variables = _variables(model)
    targets = {name: target(family, name, layers) for name in tensors.shapes if name.rpartition(".")[2] not in IGNORED}
    left_out = _without(family, targets, tensors, variables) if head else family.head
    used = {name: to for name, to in targets.items() if to is None or to.layer not in left_out}
    wanted = {path: variable for path, variable in variables.items() if path.split("/")[0] not in left_out}
    _check(model, tensors, family, used, wanted)
    check_finite(tensors, list(used))
    for name, to in used.items():
        if to is not None:
            variables[to.path].assign(_arranged(tensors.read(name), to, variables[to.path].shape))
    return [f"{name} {tensors.shapes[name]}" for name in targets if head and name not in used]


def family_of(tensors: Tensors) -> Family:
    for family in FAMILIES:
        if family.mark in tensors.shapes:
            return family
    some = ", ".join(list(tensors.shapes)[:LISTED])
    raise ValueError(
        f"weights must be those of one of these: {', '.join(family.name for family in FAMILIES)}. "
        f"Received: {str(tensors.path)!r} with tensors {some or 'none'}"
    )


def _variables(model: keras.Model) -> dict[str, Any]:
    """By layer and name. The states of random generators are no weights."""
    found: dict[str, Any] = {}
    for layer in own_layers(model):
        for variable in layer.variables:
            path = f"{layer.name}/{variable.name}"
            if path in found:
                raise ValueError(
                    "Published weights must be for layers whose variables have names of their own. "
                    f"Received: {model.name!r} with two {path}"
                )
            if "seed" not in variable.name:
                found[path] = variable
    return found


def _without(
    family: Family, targets: Mapping[str, Target | None], tensors: Tensors, variables: Mapping[str, Any]
) -> tuple[str, ...]:
    """The classifier, if it is one of other classes."""
    given = {
        to.path: _arranged_shape(tensors.shapes[name], to)
        for name, to in targets.items()
        if to is not None and to.layer == family.classifier
    }
    wanted = {path: tuple(variables[path].shape) for path in variables if path.split("/")[0] == family.classifier}
    # Whole, of one number of classes, and like ours but for this number: anything else is a fault.
    whole = given.keys() == wanted.keys() and all(given[path][:-1] == wanted[path][:-1] for path in wanted)
    classes = {shape[-1:] for shape in given.values()}
    other = whole and len(classes) == 1 and classes != {shape[-1:] for shape in wanted.values()}
    return (family.classifier,) if other else ()


def _arranged_shape(shape: Sequence[int], to: Target) -> tuple[int, ...]:
    axes = AXES[to.axes]
    if axes is None or len(shape) < len(axes) or tuple(shape[len(axes) :]) not in ((), TRAILING.get(to.axes)):
        return tuple(shape)
    if to.axes == "pointwise":
        return (1, 1, *(shape[axis] for axis in axes))
    return tuple(shape[axis] for axis in axes)


def _arranged(array: np.ndarray, to: Target, shape: Sequence[int]) -> np.ndarray:
    axes = AXES[to.axes]
    if axes is None:
        return array
    rest = range(len(axes), array.ndim)  # axes of length 1: a projection that was a 1x1 convolution
    return np.transpose(array, (*axes, *rest)).reshape(tuple(shape))


def _fits(to: Target | None, shape: Sequence[int], variables: Mapping[str, Any]) -> bool:
    return to is None or (to.path in variables and tuple(variables[to.path].shape) == _arranged_shape(shape, to))


def _check(
    model: keras.Model,
    tensors: Tensors,
    family: Family,
    targets: Mapping[str, Target | None],
    variables: Mapping[str, Any],
) -> None:
    """Raises a `ValueError` that lists all that does not fit."""
    given = {to.path: name for name, to in targets.items() if to is not None}
    missing = [f"{path} {tuple(variables[path].shape)}" for path in variables if path not in given]
    left_over = [
        f"{name} {tensors.shapes[name]}" for name, to in targets.items() if to is None or to.path not in variables
    ]
    twice = [name for name, to in targets.items() if to is not None and given[to.path] != name]
    other = [
        f"{name} {tensors.shapes[name]} for {to.path} {tuple(variables[to.path].shape)}"
        for name, to in targets.items()
        if to is not None and to.path in variables and not _fits(to, tensors.shapes[name], variables)
    ]
    faults = [
        ("nothing for", missing),
        ("no place for", left_over),
        ("a second tensor for the place of", twice),
        ("another shape:", other),
    ]
    found = [f"{what} {listed(names)}" for what, names in faults if names]
    if found:
        raise ValueError(
            f"weights must have a tensor for each variable of {model.name!r}. "
            f"Received: {str(tensors.path)!r} ({family.name}) with {'; '.join(found)}"
        )
    if needs := family.needs(model):
        raise ValueError(
            f"Weights of {family.name} need a network that is built with {', '.join(needs)}, as "
            "keras_se.weights.load does. "
            f"Received: {model.name!r} for {str(tensors.path)!r}"
        )


def listed(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
