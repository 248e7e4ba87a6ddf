"""Loads `.weights.h5` files, as Keras writes them, into networks of the same layers.

Such a file holds weights and no options: strides, padding or gates that change no shape cannot be checked.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py  # comes with Keras
import keras
import numpy as np

from keras_se._text import LONGEST, listed, reason, shown

# The layers of heads.
HEAD = ("predictions", "hidden", "logits", "fc1", "fc2")
CLASSIFIERS = ("predictions", "logits")
# Names of the networks' layers. Other layers are the user's, whose names may change from one build to the next.
PLACED = re.compile(r"(stem|stage\d+|transition\d+|final)_")
# The deepest nesting of groups: three in a layer, and two more for each layer around it.
DEEPEST = 16


class Weights(NamedTuple):
    """The name of a layer, and the shapes of its weights, those of the lowest rank first."""

    layer: str
    shapes: list[tuple[int, ...]]

    def __str__(self) -> str:
        return f"{self.layer} {listed([str(shape) for shape in self.shapes])}"


def load_keras_h5(model: keras.Model, path: Path, *, head: bool = True) -> list[str]:
    """Sets every variable of the network to its weight in the file.

    Args:
        model: The network.
        path: The file.
        head: Whether the network has its head. A classifier of another number of classes is left out.

    Returns:
        The weights of a classifier that was left out, as `name (shape)`.

    Raises:
        ValueError: for a file that is damaged, or whose layers are not those of the network. The model is then
            unchanged.
    """
    # Keras also loads the layers of `input_tensor`, which the user still has after an error: all are restored then.
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]  # copies on every backend
    cause, left_out = None, ""
    try:
        theirs, ours = _layers_of_file(path), _layers_of_model(model)
        left_out = _other_classifier(theirs, ours) if head else ""
        why = _mismatches(theirs, ours, left_out, head)
        if not why:
            with warnings.catch_warnings(action="ignore"):  # the error says it
                _up_to(model, ours[left_out].layer if left_out else "").load_weights(path)
            _check_finite(model)
    except Exception as error:  # HDF5 and Keras raise errors of any class
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
        cause, why = error, reason(error)
    if why:
        raise ValueError(
            f"weights must be a .weights.h5 file of {model.name!r}. Received: {str(path)!r} ({why})"
        ) from cause
    return [str(theirs[left_out])] if left_out else []


def _layers_of_file(path: Path) -> dict[str, Weights]:
    """The weights of each layer by its class and number: `conv2d_3` is the fourth convolution."""
    found: dict[str, Weights] = {}
    with h5py.File(path) as file:
        layers = _group(file, "layers") if "layers" in file else {}
        for name in layers:
            group = _group(layers, name)
            kind, number = re.fullmatch(r"(.+?)(_\d+)?", name, re.DOTALL).groups(default="")  # type: ignore[union-attr]
            shapes = sorted(_shapes(group, set()), key=_order)
            found[f"{kind.replace('_', '')}{number}"] = Weights(_name(group, name), shapes)
    return {key: weights for key, weights in found.items() if weights.shapes}


def _shapes(group: Any, seen: set[int], depth: int = 1) -> Iterator[tuple[int, ...]]:
    """The shapes of all weights in a group, each once: groups may contain each other."""
    if depth > DEEPEST:
        raise ValueError(f"its groups are nested more than {DEEPEST} deep")
    for name in (name for name in group if "seed" not in name):  # states of random generators are not weights
        item = _item(group, name)
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _shapes(item, seen, depth + 1)
        elif isinstance(item, h5py.Dataset):
            yield tuple(item.shape)


def _group(parent: Any, name: str) -> Any:
    item = _item(parent, name)
    if not isinstance(item, h5py.Group):
        raise ValueError(f"its {shown(item.name)} is not a group")
    return item


def _item(parent: Any, name: str) -> Any:
    """An item of a group. Items in other files are refused: opening one could reach any file, or block."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"its {shown(name)} is a link")
    item = parent[name]
    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
        raise ValueError(f"its {shown(name)} is in another file")
    return item


def _name(group: Any, otherwise: str) -> str:
    name = _item(group, "vars").attrs.get("name") if "vars" in group else None
    return next(
        (one for one in (name, otherwise) if isinstance(one, str) and one.isprintable() and len(one) <= LONGEST),
        shown(otherwise),
    )


def _layers_of_model(model: keras.Model) -> dict[str, Weights]:
    found: dict[str, Weights] = {}
    counts: Counter[str] = Counter()
    for layer in model.layers:
        kind = type(layer).__name__.lower().replace("_", "")
        key = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        shapes = [tuple(variable.shape) for variable in layer.variables if "seed" not in variable.name]
        found[key] = Weights(layer.name, sorted(shapes, key=_order))
    return {key: weights for key, weights in found.items() if weights.shapes}


def _order(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return len(shape), shape


def _other_classifier(theirs: Mapping[str, Weights], ours: Mapping[str, Weights]) -> str:
    """The key of the classifier, if it differs from the network's only in its number of classes."""
    place = next((key for key, weights in ours.items() if weights.layer in CLASSIFIERS), "")
    if place not in theirs or theirs[place].shapes == ours[place].shapes:
        return ""
    given, wanted = theirs[place].shapes, ours[place].shapes
    alike = [shape[:-1] for shape in given] == [shape[:-1] for shape in wanted]
    return place if alike and len({shape[-1:] for shape in given}) == 1 else ""


def _mismatches(theirs: Mapping[str, Weights], ours: Mapping[str, Weights], left_out: str, head: bool) -> str:
    """The layers of either side that do not fit the other."""
    used = {
        key: weights
        for key, weights in theirs.items()
        if key != left_out and (head or key in ours or weights.layer not in HEAD)
    }
    wanted = {key: weights for key, weights in ours.items() if key != left_out}
    missing = [str(weights) for key, weights in wanted.items() if key not in used]
    left_over = [str(weights) for key, weights in used.items() if key not in wanted]
    other = [
        f"{used[key]} for {weights}" for key, weights in wanted.items() if key in used and not _fits(used[key], weights)
    ]
    faults = [("no weights for", missing), ("no layer for", left_over), ("another layer:", other)]
    return "; ".join(f"{what} {listed(names)}" for what, names in faults if names)


def _fits(theirs: Weights, ours: Weights) -> bool:
    placed = PLACED.match(theirs.layer) and PLACED.match(ours.layer)
    return theirs.shapes == ours.shapes and (not placed or theirs.layer == ours.layer)


def _up_to(model: keras.Model, classifier: str) -> keras.Model:
    """The network before its classifier, with the same variables."""
    if not classifier:
        return model
    layer = model.get_layer(classifier)
    return keras.Model(model.inputs, layer.input)


def _check_finite(model: keras.Model) -> None:
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable).astype("float32", copy=False)).all():
            raise ValueError(f"it has NaN or infinity in {variable.path}")
