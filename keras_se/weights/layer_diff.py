"""Compares layers of equal weight shapes by the attributes that weights do not reveal: strides, padding, epsilon, …"""

from collections.abc import Iterable
from typing import Any

import keras

from keras_se.graph.keras_private import calls_of, producer

COMPARED = ("strides", "epsilon", "groups", "dilation_rate")


def differences(pairs: Iterable[tuple[Any, Any]]) -> list[str]:
    """Each attribute that differs, with the first layer in which it does: `epsilon of stem_conv_bn`."""
    found: dict[str, str] = {}
    for ours, theirs in pairs:
        for attribute in _differing_attributes(ours, theirs):
            found.setdefault(attribute, f"{attribute} of {ours.name}")
    return list(found.values())


def _differing_attributes(ours: Any, theirs: Any) -> list[str]:
    values = {name: (getattr(ours, name, None), getattr(theirs, name, None)) for name in COMPARED}
    differing = [name for name, (one, other) in values.items() if None not in (one, other) and one != other]
    convolutions = hasattr(ours, "kernel_size") and hasattr(theirs, "kernel_size")
    return differing + (["padding"] if convolutions and not _paddings(ours) & _paddings(theirs) else [])


def _paddings(layer: Any) -> set[str]:
    """The padding rules that agree with a convolution's padding at its size.

    There may be several: at a size of 64, "same" equals one row and one column at the end. At another size, the same
    rules may pad differently.
    """
    source = _input(layer)
    pads = ((0, 0), (0, 0))
    if layer.padding == "valid" and isinstance(padding := producer(source), keras.layers.ZeroPadding2D):
        pads = padding.padding
        source = _input(padding)
    sizes = source.shape[2:] if layer.data_format == "channels_first" else source.shape[1:3]
    axes = list(zip(sizes, layer.kernel_size, layer.strides, pads, strict=True))
    if layer.padding == "same":
        axes = [(size, kernel, stride, _same_padding(size, kernel, stride)) for size, kernel, stride, _ in axes]
    return set.intersection(*(_rules(*axis) for axis in axes)) | ({"same"} if layer.padding == "same" else set())


def _rules(size: int | None, kernel: int, stride: int, pads: tuple[int, int]) -> set[str]:
    rules = {
        "valid": (0, 0),
        "symmetric": (kernel // 2, kernel // 2),
        "end": (0, 1),
        "same": _same_padding(size, kernel, stride),
    }
    return {rule for rule, value in rules.items() if value == tuple(pads)}


def _same_padding(size: int | None, kernel: int, stride: int) -> tuple[int, int]:
    """Keras' rule "same"; the stride is taken to divide an unknown size."""
    total = max(0, kernel - ((size or 0) % stride or stride))
    return total // 2, total - total // 2


def _input(layer: Any) -> Any:
    # `layer.input` requires a layer that was called once, and a network's layers may also be part of another model.
    return calls_of(layer)[0].input_tensors[0]
