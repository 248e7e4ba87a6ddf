"""Inception modules, parallel branches of steps, as data; and the parts that two Inception networks share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import layers

from keras_se.models._shared.blocks import concat, conv_bn, scaled


class Conv(NamedTuple):
    """A convolution, batch norm and ReLU."""

    filters: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: str = "symmetric"


class Pool(NamedTuple):
    """A 3x3 pooling. Averages exclude the border; with padding `"zeros"` they count it as zeros, as in Caffe."""

    kind: str
    stride: int = 1
    padding: str = "same"


class Fork(NamedTuple):
    """Branches within a branch, concatenated."""

    branches: tuple["Step", ...]


Step = Conv | Pool | Fork
Module = Sequence[Sequence[Step]]


def apply(x: Any, step: Step, name: str, alpha: float, **norm: Any) -> Any:
    """`x` after one step. `alpha` scales the filters; `norm` are options of the batch norms."""
    if isinstance(step, Conv):
        filters = scaled(step.filters, alpha)
        return conv_bn(x, filters, step.kernel, step.stride, padding=step.padding, name=name, **norm)
    if isinstance(step, Fork):
        forks = [apply(x, fork, f"{name}_{i}", alpha, **norm) for i, fork in enumerate(step.branches, start=1)]
        return concat(forks, name=f"{name}_concat")
    return _pool(x, step, name)


def chain(x: Any, steps: Sequence[Step], name: Callable[[int], str], alpha: float, **norm: Any) -> Any:
    """`x` after the steps. The i-th step, counted from 1, is called `name(i)`."""
    for i, step in enumerate(steps, start=1):
        x = apply(x, step, name(i), alpha, **norm)
    return x


def module(x: Any, branches: Module, name: str, alpha: float, **norm: Any) -> Any:
    """The branches of `x`, concatenated. Layers: `<name>_branch2_conv1`, …, `<name>_concat`."""
    outputs = [
        chain(x, steps, lambda i, n=number, s=steps: f"{name}_branch{n}_{_kind(s[i - 1])}{i}", alpha, **norm)  # type: ignore[misc]
        for number, steps in enumerate(branches, start=1)
    ]
    return concat(outputs, name=f"{name}_concat")


def _kind(step: Step) -> str:
    return "pool" if isinstance(step, Pool) else "conv"


def _pool(x: Any, pool: Pool, name: str) -> Any:
    padding = pool.padding
    if padding == "zeros":
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    pooling = layers.AveragePooling2D if pool.kind == "avg" else layers.MaxPooling2D
    return pooling(3, strides=pool.stride, padding=padding, name=name)(x)


# The parts that Inception-v3 and Inception-ResNet-v2 share: batch norms, stem, and the first module.

NORM: dict[str, Any] = {"epsilon": 1e-3, "scale": False}
SHRINK = Pool("max", 2, "valid")
STEM: Sequence[Step] = (
    Conv(32, 3, 2, "valid"),
    Conv(32, 3, 1, "valid"),
    Conv(64, 3),
    SHRINK,
    Conv(80),
    Conv(192, 3, 1, "valid"),
    SHRINK,
)


def stem(x: Any, alpha: float) -> Any:
    """(batch, height, width, channels) → an eighth of the size, 192 channels. Layers: `stem_1`, `stem_2`, …"""
    return chain(x, STEM, lambda i: f"stem_{i}", alpha, **NORM)


def first_module(first: int, projected: int) -> Module:
    """The first module of both networks, which differ in the widths of its first and of its pooling branch."""
    branches: Module = (
        (Conv(first),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (Pool("avg"), Conv(projected)),
    )
    return branches
