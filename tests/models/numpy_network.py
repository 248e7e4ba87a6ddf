"""SE-ResNet in NumPy, float64, channels last, written from the papers' figures; only the weights come from Keras."""

import keras
import numpy as np
from helpers import array, gates_in_numpy


def conv(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A convolution with `size // 2` zeros on each side."""
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    rows, columns = (range(0, length - size + 1, stride) for length in x.shape[1:3])
    patches = [[np.tensordot(x[:, i : i + size, j : j + size], kernel, 3) for j in columns] for i in rows]
    return np.moveaxis(np.array(patches), 2, 0)


def max_pool_ceil(x: np.ndarray) -> np.ndarray:
    """Windows of 3 every 2, as many as it takes to reach the last row and column; what is outside does not count."""
    rows, columns = (range(0, 2 * -(-(length - 3) // 2) + 1, 2) for length in x.shape[1:3])
    return np.moveaxis(np.array([[x[:, i : i + 3, j : j + 3].max((1, 2)) for j in columns] for i in rows]), 2, 0)


class NumpyResNet:
    """Computes what `model`, an SEResNet without top, should compute."""

    def __init__(self, model: keras.Model, depths: tuple[int, ...], convolutions: list[str], stem_stride: int):
        self.model, self.depths, self.convolutions, self.stem_stride = model, depths, convolutions, stem_stride

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.maximum(self.conv_bn(x.astype("float64"), "stem_conv", self.stem_stride), 0)
        if self.stem_stride == 2:
            x = max_pool_ceil(x)
        for stage, depth in enumerate(self.depths, 1):
            for block in range(1, depth + 1):
                x = self.block(x, f"stage{stage}_block{block}", 2 if block == 1 and stage > 1 else 1)
        return x

    def block(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        """relu(SE(branch) + shortcut): the first convolution of the branch strides."""
        y = x
        for convolution in self.convolutions:
            y = self.conv_bn(y, f"{name}_{convolution}", stride if convolution == "conv1" else 1)
            if convolution != self.convolutions[-1]:
                y = np.maximum(y, 0)
        layers = {layer.name for layer in self.model.layers}
        shortcut = self.conv_bn(x, f"{name}_shortcut", stride) if f"{name}_shortcut" in layers else x
        weights = {weight.name: array(weight) for weight in self.model.get_layer(f"{name}_se").weights}
        gates = gates_in_numpy(y.mean((1, 2)), weights, "relu", "sigmoid")
        return np.maximum(y * gates[:, None, None] + shortcut, 0)

    def conv_bn(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        x = conv(x, array(self.model.get_layer(name).kernel), stride)
        norm = self.model.get_layer(f"{name}_bn")
        scale = array(norm.gamma) / np.sqrt(array(norm.moving_variance) + 1e-5)
        return (x - array(norm.moving_mean)) * scale + array(norm.beta)
