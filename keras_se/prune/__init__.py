"""Removes squeeze-and-excitation from a network: exactly, where gates are constant, or by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se.excitation.constant_gates import constant_gates
from keras_se.graph.activations import batches, probe
from keras_se.graph.columns import columns_of
from keras_se.graph.copy_layers import check_owners, freeze_like, uncompiled
from keras_se.graph.rewrite import GraphEdits
from keras_se.graph.select import select
from keras_se.graph.walk import check_graph, operations_by_path
from keras_se.layers import EXCITATIONS, ChannelScale, SqueezeExcite
from keras_se.layers.base import accumulation_dtype
from keras_se.prune.fold_gates import fold

# Gates that vary by less than this are constants: it is far less than the step of an int8 gate, 1/256.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Removal:
    """The result of `remove_se`. SE blocks are named by their paths.

    Attributes:
        model: The new model.
        folded: Blocks with constant gates, and the layer whose weights the gates were folded into.
        scaled: Blocks with constant gates that no layer beside them can take: a `ChannelScale` replaces them.
        ones: Blocks whose gates are all 1, such as those that `insert_se` has just inserted.
        dropped: Blocks that were removed because `drop` names them.
        kept: Blocks that were not changed.
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
        """For JSON, with the model's name in place of the model."""
        return {
            "model": self.model.name,
            "folded": self.folded,
            **{name: list(getattr(self, name)) for name in ("scaled", "ones", "dropped", "kept")},
            "max_abs": self.max_abs,
            "relative_rms": self.relative_rms,
        }


def remove_se(
    model: keras.Model, data: Any = None, *, tolerance: float = TOLERANCE, drop: str | Sequence[str] = ()
) -> Removal:
    """A copy of a model without the SE blocks whose gates are constant, or that `drop` names.

    The gates of a narrow or an unused excitation can be the same for every input: its hidden units are never positive.
    Such a block is a constant for each channel. It is folded into the convolution, dense layer or batch norm right
    before it, if nothing else reads that layer, or into the convolution or dense layer behind it. Otherwise a
    `ChannelScale` replaces it, unless the gates are all 1. Only a `SqueezeExcite` that is called once, without a mask,
    is considered.

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
        data: Inputs, an array; for several inputs a list of arrays, or a mapping from input name to array. Gates that
            do not vary over the data are constant, and the change of the outputs is measured on the data. Without data
            only the blocks in `drop` are removed.
        tolerance: The largest range of a constant gate over the data, from 0 to 1.
        drop: Blocks to remove, whatever their gates are: names, or a regular expression for whole names. This changes
            the function of the model.

    Returns:
        A `Removal`, with the new model.

    Raises:
        ValueError: for a model without a graph, data that do not fit, or names that no SE block has.
    """
    check_graph("remove_se", model)
    if not 0 < tolerance <= 1:
        raise ValueError(f"tolerance must be above 0 and at most 1. Received: tolerance={tolerance}")
    check_owners(model)
    blocks = {path: layer for path, layer in operations_by_path(model) if isinstance(layer, EXCITATIONS)}
    dropped = select("drop", drop, list(blocks), "SE blocks of the model")
    columns = None if data is None else columns_of(model, data)
    if columns is None and not dropped:
        raise ValueError("remove_se requires data or drop. Received: neither")
    graph = GraphEdits(uncompiled(model))
    for path in dropped:
        graph.around(path).drop(blocks[path])
    folded: dict[str, str] = {}
    scaled, ones = list[str](), list[str]()
    constants = {} if columns is None else constant_gates(model, columns, tolerance)
    for path, (block, gates) in constants.items():
        if path in dropped or not isinstance(block, SqueezeExcite):
            continue
        level = graph.around(path)
        if np.all(gates == 1):
            level.drop(block)
            ones.append(path)
        elif taker := fold(level, block, gates):
            level.drop(block)
            folded[path] = path.removesuffix(block.name) + taker
        else:
            scale = ChannelScale(data_format=block.data_format, dtype=block.dtype_policy, name=block.name)
            level.replace(block, scale, [gates])
            scaled.append(path)
    result = graph.clone()
    freeze_like(model, result, frozen=not model.trainable)
    kept = [path for path in blocks if path not in {*dropped, *folded, *scaled, *ones}]
    change = (None, None) if columns is None else _change(model, result, columns)
    return Removal(result, folded, tuple(scaled), tuple(ones), tuple(dropped), tuple(kept), *change)


def _change(model: keras.Model, result: keras.Model, columns: list[np.ndarray]) -> tuple[float, float]:
    """The largest difference of outputs, and the root mean square of all relative to that of the outputs."""
    largest, differences, squares = 0.0, 0.0, 0.0
    old, new = (probe(network, network.outputs) for network in (model, result))
    for batch in batches(columns):
        for expected, actual in zip(map(_in_float64, old(batch)), map(_in_float64, new(batch)), strict=True):
            largest = float(np.maximum(largest, np.abs(actual - expected).max()))  # NaN if any output is NaN
            differences += float(np.sum((actual - expected) ** 2))
            squares += float(np.sum(expected**2))
    return largest, float(np.sqrt(differences / squares)) if squares else float(differences > 0)


def _in_float64(tensor: Any) -> np.ndarray:
    widened = ops.cast(tensor, accumulation_dtype(tensor.dtype))  # NumPy has no bfloat16
    return ops.convert_to_numpy(widened).astype("float64")
