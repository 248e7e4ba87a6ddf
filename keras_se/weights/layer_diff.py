"""Whether two layers of the same shapes compute the same: strides, padding and the like, which no weight shows."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_se.graph.keras_private import calls_of, producer

COMPARED = ("strides", "epsilon", "groups", "dilation_rate")


def differences(pairs: Iterable[tuple[Any, Any]]) -> list[str]:
    """For each attribute in which layers differ, its name and the first that does: `epsilon of stem_conv_bn`."""
    found: dict[str, str] = {}
    for ours, theirs in pairs:
        for attribute in _differing(ours, theirs):
            found.setdefault(attribute, f"{attribute} of {ours.name}")
    return list(found.values())


def _differing(ours: Any, theirs: Any) -> list[str]:
    values = {name: (getattr(ours, name, None), getattr(theirs, name, None)) for name in COMPARED}
    differing = [name for name, (one, other) in values.items() if None not in (one, other) and one != other]
    convolutions = hasattr(ours, "kernel_size") and hasattr(theirs, "kernel_size")
    return differing + (["padding"] if convolutions and not _paddings(ours) & _paddings(theirs) else [])


def _paddings(layer: Any) -> set[str]:
    """The rules by which a convolution may be padded as it is.

    There may be several: at a size of 64, "same" is the same as a row and a column at the end. What Keras pads by its
    rule for one size, it pads otherwise for another.
    """
    before = _inputs(layer)
    pads = ((0, 0), (0, 0))
    if layer.padding == "valid" and isinstance(padding := producer(before), keras.layers.ZeroPadding2D):
        pads = padding.padding
        before = _inputs(padding)
    sizes = before.shape[2:] if layer.data_format == "channels_first" else before.shape[1:3]
    axes = list(zip(sizes, layer.kernel_size, layer.strides, pads, strict=True))
    if layer.padding == "same":
        axes = [(size, kernel, stride, _same(size, kernel, stride)) for size, kernel, stride, _ in axes]
    return set.intersection(*(_rules(*axis) for axis in axes)) | ({"same"} if layer.padding == "same" else set())


def _rules(size: int | None, kernel: int, stride: int, pads: tuple[int, int]) -> set[str]:
    rules = {
        "valid": (0, 0),
        "symmetric": (kernel // 2, kernel // 2),
        "end": (0, 1),
        "same": _same(size, kernel, stride),
    }
    return {rule for rule, value in rules.items() if value == tuple(pads)}


def _same(size: int | None, kernel: int, stride: int) -> tuple[int, int]:
    """Keras' "same"; an unknown size counts as one that the stride divides."""
    total = max(0, kernel - ((size or 0) % stride or stride))
    return total // 2, total - total // 2


def _inputs(layer: Any) -> Any:
    # `layer.input` is for layers that were called once; a network's layers may be part of another, too.
    return calls_of(layer)[0].input_tensors[0]
