"""Squeeze-and-excitation, taken out of a network: where it does nothing, exactly; where one says so, measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se.excitation.constant_gates import constant_gates
from keras_se.graph.activations import PROBE_BATCH, columns_of, values_within
from keras_se.graph.rewrite import check_owners, freeze_like, substituted, uncompiled
from keras_se.graph.select import meant
from keras_se.graph.walk import has_graph
from keras_se.layers import EXCITATIONS, ChannelScale, SqueezeExcite
from keras_se.layers.base import accumulation_dtype
from keras_se.prune.fold_gates import fold

# Gates that vary by less than this are constants: a hundredth of the step of an int8 gate is less than rounding it is.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Removal:
    """What `remove_se` returns. SE blocks are named by their paths.

    Attributes:
        model: The new model.
        folded: Blocks with constant gates, and the layer whose weights have these now.
        scaled: Blocks with constant gates that no layer beside them can take: a `ChannelScale` is in their place.
        ones: Blocks whose gates are all 1 and so need no place, such as those that `insert_se` has just put in.
        dropped: Blocks that were taken out because they were named.
        kept: Those that are as they were.
        max_abs: The largest difference between an output of the old and of the new model; `None` without data.
        relative_rms: The root mean square of the differences, relative to that of the old outputs; `None` likewise.
    """

    model: keras.Model
    folded: dict[str, str]
    scaled: tuple[str, ...]
    ones: tuple[str, ...]
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    max_abs: float | None
    relative_rms: float | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: all but the model, of which the name."""
        return {
            "model": self.model.name,
            "folded": self.folded,
            **{name: list(getattr(self, name)) for name in ("scaled", "ones", "dropped", "kept")},
            "max_abs": self.max_abs,
            "relative_rms": self.relative_rms,
        }


@dataclass
class _Work:
    """What has been found out about blocks so far."""

    tolerance: float
    drop: frozenset[str]
    folded: dict[str, str] = field(default_factory=dict)
    scaled: list[str] = field(default_factory=list)
    ones: list[str] = field(default_factory=list)


def remove_se(
    model: keras.Model,
    data: Any = None,
    *,
    tolerance: float = TOLERANCE,
    drop: str | Sequence[str] = (),
) -> Removal:
    """A copy of a model without the SE blocks that do nothing, or that are named.

    The gates of a narrow or an unused excitation can be the same for every input: its hidden units are never on. Such a
    block is a constant for each channel, and goes into the convolution, dense layer or batch norm right before it,
    whose results nothing else reads, or into the convolution or dense layer behind it; where neither is there, a
    `ChannelScale` stays, unless the gates are all 1. `SqueezeExcite` that is called once and gets no mask is looked at.

    Example:

    >>> import keras, numpy as np
    >>> from keras_se import SqueezeExcite, remove_se
    >>> layers = [keras.layers.Conv2D(8, 3), SqueezeExcite(4, name="se"), keras.layers.GlobalAveragePooling2D()]
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    >>> _ = model.get_layer("se").expand_kernel.assign(np.zeros((2, 8)))
    >>> removal = remove_se(model, np.random.default_rng(0).normal(size=(4, 8, 8, 3)))
    >>> list(removal.folded), removal.max_abs < 1e-6
    (['se'], True)

    Args:
        model: A functional model, or a Sequential one that is built. It is not changed.
        data: Inputs, an array; for several inputs a list of arrays, or a mapping from input name to array. Gates are
            constants if they are over these, and the change of the outputs is measured on them, too. Without data
            nothing but `drop` is done.
        tolerance: The range over the data of a gate that is taken for a constant, from 0 to 1.
        drop: Blocks to take out, whatever their gates are: names, or a regular expression for whole names. This
            changes what the model computes.

    Returns:
        A `Removal`, with the new model.

    Raises:
        ValueError: for a model without a graph, data that do not fit, or names that no SE block has.
    """
    if not has_graph(model):
        raise ValueError(
            "SE is taken out of a graph of layers: the model must be a functional one, whose class has no call() of "
            "its own, or a Sequential one with an Input. "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )
    if not 0 < tolerance <= 1:
        raise ValueError(f"tolerance must be above 0, and 1 at most. Received: tolerance={tolerance}")
    check_owners(model)
    blocks = list(_blocks(model))
    dropped = meant("drop", drop, blocks, "SE blocks of the model")
    columns = None if data is None else columns_of(model, data)
    if columns is None and not dropped:
        raise ValueError("Either data or drop must be given. Received: neither")
    work = _Work(tolerance, frozenset(dropped))
    result = _without(uncompiled(model), columns, work, "")
    freeze_like(model, result, frozen=not model.trainable)
    kept = [path for path in blocks if path not in {*dropped, *work.folded, *work.scaled, *work.ones}]
    change = (None, None) if columns is None else _change(model, result, columns)
    return Removal(result, work.folded, tuple(work.scaled), tuple(work.ones), tuple(dropped), tuple(kept), *change)


def _blocks(model: keras.Model, prefix: str = "") -> Iterator[str]:
    for layer in model.layers:
        if has_graph(layer):
            yield from _blocks(layer, f"{prefix}{layer.name}/")
        elif isinstance(layer, EXCITATIONS):
            yield f"{prefix}{layer.name}"


def _without(model: keras.Model, columns: list[np.ndarray] | None, work: _Work, prefix: str) -> keras.Model:
    """A copy of a model, and of the models within."""
    replacements: dict[str, keras.layers.Layer] = {}
    for inner in filter(has_graph, model.layers):
        inside = None if columns is None else values_within(model, inner, columns)
        replacements[inner.name] = _without(inner, inside, work, f"{prefix}{inner.name}/")
    dropped = {layer.name for layer in model.layers if f"{prefix}{layer.name}" in work.drop}
    constants = {} if columns is None else constant_gates(model, columns, work.tolerance)
    weights: dict[str, list[np.ndarray]] = {}
    scales: dict[str, np.ndarray] = {}
    for name, (layer, gates) in constants.items():
        if name in dropped or not isinstance(layer, SqueezeExcite):
            continue
        if np.all(gates == 1):
            dropped.add(name)
            work.ones.append(f"{prefix}{name}")
            continue
        taker = fold(model, layer, gates, weights)
        if taker is None:
            scales[name] = gates
            replacements[name] = ChannelScale(data_format=layer.data_format, dtype=layer.dtype_policy, name=name)
            work.scaled.append(f"{prefix}{name}")
        else:
            dropped.add(name)
            work.folded[f"{prefix}{name}"] = f"{prefix}{taker}"
    result = substituted(model, replacements, dropped)
    for name, values in weights.items():
        result.get_layer(name).set_weights(values)
    for name, gates in scales.items():
        result.get_layer(name).set_weights([gates])
    return result


def _change(model: keras.Model, result: keras.Model, columns: list[np.ndarray]) -> tuple[float, float]:
    """The largest difference of outputs, and the root mean square relative to that of the outputs."""
    largest, differences, squares = 0.0, 0.0, 0.0
    for start in range(0, len(columns[0]), PROBE_BATCH):
        samples = slice(start, start + PROBE_BATCH)
        batch = [ops.convert_to_tensor(x[samples], own.dtype) for x, own in zip(columns, model.inputs, strict=True)]
        old, new = (_outputs(network, batch) for network in (model, result))
        for expected, actual in zip(old, new, strict=True):
            largest = float(np.maximum(largest, np.abs(actual - expected).max()))  # and not a number if one is none
            differences += float(np.sum((actual - expected) ** 2))
            squares += float(np.sum(expected**2))
    return largest, float(np.sqrt(differences / squares)) if squares else float(differences > 0)


def _outputs(model: keras.Model, batch: list[Any]) -> list[np.ndarray]:
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    outputs = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, batch), training=False))
    exact = [ops.cast(output, accumulation_dtype(output.dtype)) for output in outputs]  # NumPy has no bfloat16
    return [ops.convert_to_numpy(output).astype("float64") for output in exact]
