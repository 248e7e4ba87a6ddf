"""Residual networks in NumPy, and how the graph of a model is read: what feeds a layer, and what reads it.

The networks are float64, channels last, and written from the papers' figures; only the weights come from Keras.
"""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.support.arrays import array
from tests.support.numpy_se import gates_in_numpy

# Reading a graph

# For what only, or nearly only, builds: that is the same on every backend, and JAX compiles for each shape of a weight.
graphs_only = pytest.mark.skipif(keras.backend.backend() == "jax", reason="graphs are the same on every backend")


def feeds(model: keras.Model, name: str) -> list[str]:
    """The layers whose outputs a layer reads."""
    inputs = model.get_layer(name).input
    return [x._keras_history.operation.name for x in (inputs if isinstance(inputs, list) else [inputs])]


def readers(model: keras.Model, name: str) -> set[str]:
    return {node.operation.name for node in model.get_layer(name)._outbound_nodes}


def se_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name.endswith("_se")]


def check_placements(model: keras.Model, places: list[tuple[str, str, set[str], int]]) -> None:
    """Checks that SE is at these places and nowhere else: its block, what feeds it, what reads it, its channels."""
    assert sorted(se_layers(model)) == sorted(f"{block}_se" for block, *_ in places)
    for block, before, after, channels in places:
        assert feeds(model, f"{block}_se") == [before]
        assert readers(model, f"{block}_se") == after
        assert model.get_layer(f"{block}_se").output.shape[-1] == channels


# Steps


def conv(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A convolution with `size // 2` zeros on each side, in as many groups as the kernel has too few channels."""
    groups = x.shape[-1] // kernel.shape[2]
    if groups > 1:
        parts = zip(np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True)
        return np.concatenate([conv(part, weights, stride) for part, weights in parts], axis=-1)
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    rows, columns = (range(0, length - size + 1, stride) for length in x.shape[1:3])
    patches = [[np.tensordot(x[:, i : i + size, j : j + size], kernel, 3) for j in columns] for i in rows]
    return np.moveaxis(np.array(patches), 2, 0)


def max_pool_ceil(x: np.ndarray) -> np.ndarray:
    """Windows of 3 every 2, as many as it takes to reach the last row and column; what is outside does not count."""
    rows, columns = (range(0, 2 * -(-(length - 3) // 2) + 1, 2) for length in x.shape[1:3])
    return _pool(x, rows, columns, 3, np.max)


def max_pool_padded(x: np.ndarray) -> np.ndarray:
    """Windows of 3 every 2, the first of which begins one before the image."""
    rows, columns = (range(-1, length - 1, 2) for length in x.shape[1:3])
    return _pool(x, rows, columns, 3, np.max)


def halve_averaged(x: np.ndarray) -> np.ndarray:
    """Windows of 2 every 2; at the end of an odd size, the one value that is there."""
    rows, columns = (range(0, length, 2) for length in x.shape[1:3])
    return _pool(x, rows, columns, 2, np.mean)


def _pool(x: np.ndarray, rows: range, columns: range, size: int, reduce: Callable[..., np.ndarray]) -> np.ndarray:
    """Reduces each window to what of it lies within the image."""

    def window(i: int, j: int) -> np.ndarray:
        return reduce(x[:, max(i, 0) : i + size, max(j, 0) : j + size], axis=(1, 2))

    return np.moveaxis(np.array([[window(i, j) for j in columns] for i in rows]), 2, 0)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


# Networks


class NumpyResNet:
    """Computes what `model`, an SEResNet or SENet without top, should compute.

    Args:
        model: It has the weights.
        depths: Blocks in each stage.
        convolutions: The names of a branch's.
        stem_stride: 1 for the stem without pooling.
        stem: The names of its convolutions, the first of which strides.
        pool: The stem's.
        strided: Which convolution of the branch strides.
        shortcut: `"projection"`, `"average"` or `"zeros"`.
        branch_relu: Whether the branch ends in a ReLU.
    """

    def __init__(
        self,
        model: keras.Model,
        depths: tuple[int, ...],
        convolutions: list[str],
        stem_stride: int,
        *,
        stem: tuple[str, ...] = ("stem_conv",),
        pool: Callable[[np.ndarray], np.ndarray] = max_pool_ceil,
        strided: str = "conv1",
        shortcut: str = "projection",
        branch_relu: bool = False,
    ):
        self.model, self.depths, self.convolutions, self.stem_stride = model, depths, convolutions, stem_stride
        self.stem, self.pool, self.strided = stem, pool, strided
        self.shortcut, self.branch_relu = shortcut, branch_relu

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = x.astype("float64")
        for name in self.stem:
            x = relu(self.conv_bn(x, name, self.stem_stride if name == self.stem[0] else 1))
        if self.stem_stride == 2:
            x = self.pool(x)
        for stage, depth in enumerate(self.depths, 1):
            for block in range(1, depth + 1):
                x = self.block(x, f"stage{stage}_block{block}", 2 if block == 1 and stage > 1 else 1)
        return x

    def block(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        """relu(SE(branch) + shortcut)."""
        y = x
        for convolution in self.convolutions:
            y = self.conv_bn(y, f"{name}_{convolution}", stride if convolution == self.strided else 1)
            if convolution != self.convolutions[-1] or self.branch_relu:
                y = relu(y)
        return relu(self.excited(y, name) + self.shortcut_of(x, name, stride, y.shape[-1]))

    def shortcut_of(self, x: np.ndarray, name: str, stride: int, channels: int) -> np.ndarray:
        if stride == 1 and x.shape[-1] == channels:
            return x
        if self.shortcut == "zeros":
            missing = channels - x.shape[-1]
            before = np.zeros((*x.shape[:-1], missing // 2))
            after = np.zeros((*x.shape[:-1], missing - missing // 2))
            return np.concatenate([before, x, after], axis=-1)[:, ::stride, ::stride]
        if self.shortcut == "average":
            return self.conv_bn(halve_averaged(x) if stride == 2 else x, f"{name}_shortcut", 1)
        return self.conv_bn(x, f"{name}_shortcut", stride)

    def excited(self, y: np.ndarray, name: str) -> np.ndarray:
        weights = {weight.name: array(weight) for weight in self.model.get_layer(f"{name}_se").weights}
        return y * gates_in_numpy(y.mean((1, 2)), weights, "relu", "sigmoid")[:, None, None]

    def conv(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        return conv(x, array(self.model.get_layer(name).kernel), stride)

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        norm = self.model.get_layer(name)
        scale = array(norm.gamma) / np.sqrt(array(norm.moving_variance) + 1e-5)
        return (x - array(norm.moving_mean)) * scale + array(norm.beta)

    def conv_bn(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        return self.norm(self.conv(x, name, stride), f"{name}_bn")


class NumpyPreActResNet(NumpyResNet):
    """Computes what `model`, an SEPreActResNet without top, should compute."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = self.conv(x.astype("float64"), "stem_conv", 1)
        for stage, depth in enumerate(self.depths, 1):
            for block in range(1, depth + 1):
                x = self.block(x, f"stage{stage}_block{block}", 2 if block == 1 and stage > 1 else 1)
        return relu(self.norm(x, "final_bn"))

    def block(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        """SE(branch(a)) + shortcut, a = relu(bn(x)): x itself, or a projected where the shape changes."""
        y = a = relu(self.norm(x, f"{name}_pre_bn"))
        for convolution in self.convolutions:
            y = self.conv(y, f"{name}_{convolution}", stride if convolution == "conv1" else 1)
            if convolution != self.convolutions[-1]:
                y = relu(self.norm(y, f"{name}_{convolution}_bn"))
        changes = stride > 1 or x.shape[-1] != y.shape[-1]
        return self.excited(y, name) + (self.conv(a, f"{name}_shortcut", stride) if changes else x)
