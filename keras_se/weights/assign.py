"""Assigns the tensors of a checkpoint to a network's variables, each exactly once."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_se._text import LISTED, listed
from keras_se.weights.checkpoint import Tensors
from keras_se.weights.mapping import AXES, IGNORED, Family, Target, find_target
from keras_se.weights.requirements import network_layers
from keras_se.weights.timm import FAMILIES

# Axes that a tensor may have behind those in `AXES`: a projection may be a 1x1 convolution.
TRAILING = {"project": (1, 1)}


def assign(model: keras.Model, tensors: Tensors, *, head: bool = True) -> list[str]:
    """Sets every variable of the network to its tensor in the checkpoint; layers of `input_tensor` keep theirs.

    Names, shapes and options are checked first. Then each tensor is read once, and checked for NaN and infinity as it
    is assigned. An error in a tensor's values leaves the network partly set: its builder passes the error on and
    returns no network.

    Args:
        model: The network.
        tensors: The checkpoint's tensors.
        head: Whether the network has its head. A classifier of another number of classes is left out.

    Returns:
        The tensors of a classifier that was left out, as `name (shape)`.

    Raises:
        ValueError: if a tensor is missing, left over, of another shape or not finite, or if the weights require other
            options of the builder.
    """
    family = family_of(tensors)
    layers = {layer.name: layer for layer in network_layers(model)}
    variables = _variables(model)
    targets = {
        name: find_target(family, name, layers) for name in tensors.shapes if name.rpartition(".")[2] not in IGNORED
    }
    left_out = _other_classifier(family, targets, tensors, variables) if head else family.head
    used = {name: to for name, to in targets.items() if to is None or to.layer not in left_out}
    wanted = {path: variable for path, variable in variables.items() if path.split("/")[0] not in left_out}
    _check(model, tensors, family, used, wanted)
    infinite = []
    for name, to in used.items():
        if to is None:
            continue
        values = tensors.read(name)
        if not np.isfinite(values).all():
            infinite.append(name)
        variables[to.path].assign(_arranged(values, to, variables[to.path].shape))
    if infinite:
        raise ValueError(
            f"Tensors must be finite. Received: NaN or infinity in {listed(infinite)} of {str(tensors.path)!r}"
        )
    return [f"{name} {tensors.shapes[name]}" for name in targets if head and name not in used]


def family_of(tensors: Tensors) -> Family:
    for family in FAMILIES:
        if family.mark in tensors.shapes:
            return family
    raise ValueError(
        f"weights must be a checkpoint of {', '.join(family.name for family in FAMILIES)}. "
        f"Received: {str(tensors.path)!r} with tensors {', '.join(list(tensors.shapes)[:LISTED]) or 'none'}"
    )


def _variables(model: keras.Model) -> dict[str, Any]:
    """Variables by layer and name, without the states of random generators, which are not weights."""
    found: dict[str, Any] = {}
    for layer in network_layers(model):
        for variable in layer.variables:
            path = f"{layer.name}/{variable.name}"
            if path in found:
                raise ValueError(
                    "Published weights require unique variable names in each layer. "
                    f"Received: {model.name!r} with two {path}"
                )
            if "seed" not in variable.name:
                found[path] = variable
    return found


def _other_classifier(
    family: Family, targets: Mapping[str, Target | None], tensors: Tensors, variables: Mapping[str, Any]
) -> tuple[str, ...]:
    """The classifier's name, if the checkpoint's classifier differs from the network's only in its classes."""
    given = {
        to.path: _arranged_shape(tensors.shapes[name], to)
        for name, to in targets.items()
        if to is not None and to.layer == family.classifier
    }
    wanted = {path: tuple(variables[path].shape) for path in variables if path.split("/")[0] == family.classifier}
    # Every tensor is there, with one number of classes and otherwise the network's shapes; else it is a fault.
    complete = given.keys() == wanted.keys() and all(given[path][:-1] == wanted[path][:-1] for path in wanted)
    classes = {shape[-1:] for shape in given.values()}
    other = complete and len(classes) == 1 and classes != {shape[-1:] for shape in wanted.values()}
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
    rest = range(len(axes), array.ndim)  # axes of length 1, of a projection that was a 1x1 convolution
    return np.transpose(array, (*axes, *rest)).reshape(tuple(shape))


def _check(
    model: keras.Model,
    tensors: Tensors,
    family: Family,
    targets: Mapping[str, Target | None],
    variables: Mapping[str, Any],
) -> None:
    """Raises a `ValueError` that lists every mismatch."""
    found = {name: to for name, to in targets.items() if to is not None}
    given = {to.path: name for name, to in found.items()}
    missing = [f"{path} {tuple(variables[path].shape)}" for path in variables if path not in given]
    left_over = [
        f"{name} {tensors.shapes[name]}" for name, to in targets.items() if to is None or to.path not in variables
    ]
    repeated = [name for name, to in found.items() if given[to.path] != name]
    wanted = {name: tuple(variables[to.path].shape) for name, to in found.items() if to.path in variables}
    other_shapes = [
        f"{name} {tensors.shapes[name]} for {found[name].path} {shape}"
        for name, shape in wanted.items()
        if shape != _arranged_shape(tensors.shapes[name], found[name])
    ]
    faults = [
        ("no tensor for", missing),
        ("no variable for", left_over),
        ("a second tensor for the variable of", repeated),
        ("another shape:", other_shapes),
    ]
    if any(names for _, names in faults):
        sentence = "; ".join(f"{what} {listed(names)}" for what, names in faults if names)
        raise ValueError(
            f"weights must have a tensor for each variable of {model.name!r}. "
            f"Received: {str(tensors.path)!r} ({family.name}) with {sentence}"
        )
    if options := family.missing_options(model):
        raise ValueError(
            f"Weights of {family.name} require a network built with {', '.join(options)}, as keras_se.weights.load "
            f"builds it. Received: {model.name!r} for {str(tensors.path)!r}"
        )
