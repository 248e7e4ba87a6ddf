"""The parts of residual networks: stems, branches, shortcuts, units, and stages of units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras import layers

from keras_se._validation import one_of
from keras_se.models._shared.blocks import bn_act, channel_axis, channels, conv, conv_bn, max_pool_ceil, max_pool_padded
from keras_se.models._shared.network import smallest_of

POOLS: dict[str, Callable[..., Any]] = {"ceil": max_pool_ceil, "padded": max_pool_padded}
FILTERS = (64, 128, 256, 512)


def _imagenet_stem(x: Any, filters: int, pool: str) -> Any:
    return POOLS[pool](conv_bn(x, filters, 7, 2, name="stem_conv"), name="stem_pool")


def _deep_stem(x: Any, filters: int, pool: str) -> Any:
    x = conv_bn(x, filters // 2, 3, 2, name="stem_conv1")
    x = conv_bn(x, filters // 2, 3, name="stem_conv2")
    return POOLS[pool](conv_bn(x, filters, 3, name="stem_conv3"), name="stem_pool")


def _small_stem(x: Any, filters: int, pool: str) -> Any:
    return conv_bn(x, filters, 3, name="stem_conv")


# Each stem, and the smallest image of which four stages leave a pixel.
STEMS: dict[str, tuple[Callable[..., Any], int]] = {
    "imagenet": (_imagenet_stem, 32),
    "deep": (_deep_stem, 32),
    "small": (_small_stem, 8),
}

smallest = smallest_of(STEMS)


def stem_of(x: Any, stem: str, filters: int, pool: str) -> Any:
    return STEMS[stem][0](x, filters, one_of("pool", pool, POOLS))


@dataclass(frozen=True)
class Branch:
    """The convolutions of a residual branch.

    Attributes:
        kernels: Kernel size of each.
        widths: Filters of each, as multiples of the stage's.
        strided: Index of the convolution that has the stride.
        groups: Groups of the 3x3 in a bottleneck.
        relu: Whether a ReLU follows the last one.
    """

    kernels: tuple[int, ...]
    widths: tuple[int, ...]
    strided: int = 0
    groups: int = 1
    relu: bool = False

    def convolutions(self, filters: int, stride: int) -> list[tuple[int, int, int, int]]:
        """(filters, kernel, stride, groups) of each convolution."""
        return [
            (filters * width, kernel, stride if i == self.strided else 1, self.groups if kernel > 1 else 1)
            for i, (kernel, width) in enumerate(zip(self.kernels, self.widths, strict=True))
        ]

    @property
    def excited(self) -> int:
        """Index of the convolution that the placement "3x3" follows."""
        return self.kernels.index(3)


BASIC = Branch((3, 3), (1, 1))
BOTTLENECK = Branch((1, 3, 1), (1, 1, 4))
BRANCHES = {"bottleneck": BOTTLENECK, "basic": BASIC}


def project(x: Any, filters: int, stride: int, name: str, kernel: int = 1) -> Any:
    """The usual shortcut: a 1x1 convolution, or one of size `kernel` where it strides."""
    return conv_bn(x, filters, kernel if stride > 1 else 1, stride, activation=None, name=name)


def project_averaged(x: Any, filters: int, stride: int, name: str) -> Any:
    """The shortcut of ResNet-D: an average pooling in place of the stride, then a 1x1 convolution."""
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(x)
    return conv_bn(x, filters, 1, activation=None, name=name)


def pad_with_zeros(x: Any, filters: int, stride: int, name: str) -> Any:
    """The shortcut without weights (option A of He et al. 2015): every second value, padded with zero channels."""
    missing = filters - channels(x)
    if missing < 0:
        raise ValueError(
            f'shortcut="zeros" requires stages with at least as many channels as the one before. '
            f"Received: {filters} after {channels(x)}"
        )
    if stride > 1:
        x = layers.AveragePooling2D(1, strides=stride, name=f"{name}_stride")(x)
    # Keras pads the two axes that are spatial in `data_format`: in the opposite format, one of them is the channels.
    first = channel_axis() == 1
    padding = (missing // 2, missing - missing // 2)
    return layers.ZeroPadding2D(
        (padding, (0, 0)) if first else ((0, 0), padding),
        data_format="channels_last" if first else "channels_first",
        name=f"{name}_zeros",
    )(x)


SHORTCUTS: dict[str, Callable[..., Any]] = {"projection": project, "average": project_averaged, "zeros": pad_with_zeros}


def unit(
    x: Any, filters: int, stride: int, se: Callable[[str, Any], Any], name: str, branch: Branch, shortcut: Callable
) -> Any:
    """relu(branch(x) + shortcut(x)). The placements of SE are those of figure 5 of the paper."""
    y = se("pre", x)
    convolutions = branch.convolutions(filters, stride)
    for i, (width, kernel, step, groups) in enumerate(convolutions):
        last = i == len(convolutions) - 1
        activation = None if last and not branch.relu else "relu"
        y = conv_bn(y, width, kernel, step, groups=groups, activation=activation, name=f"{name}_conv{i + 1}")
        y = se("3x3", y) if i == branch.excited and not last else y
    y = se("standard", y)
    if stride > 1 or channels(x) != channels(y):
        x = shortcut(x, channels(y), stride, f"{name}_shortcut")
    y = layers.Add(name=f"{name}_add")([y, se("identity", x)])
    return se("post", layers.Activation("relu", name=f"{name}_relu")(y))


def preactivated_unit(
    x: Any, filters: int, stride: int, se: Callable[[str, Any], Any], name: str, branch: Branch
) -> Any:
    """branch(a) + shortcut, where a = relu(bn(x)); the shortcut is x, or a projection of a where the shape changes."""
    y = a = bn_act(x, name=f"{name}_pre")
    y = se("pre", y)
    convolutions = branch.convolutions(filters, stride)
    for i, (width, kernel, step, groups) in enumerate(convolutions):
        if i:
            y = bn_act(y, name=f"{name}_conv{i}")
            y = se("3x3", y) if i - 1 == branch.excited else y
        y = conv(y, width, kernel, step, groups=groups, name=f"{name}_conv{i + 1}")
    y = se("standard", y)
    if stride > 1 or channels(x) != channels(y):
        x = conv(a, channels(y), 1, stride, name=f"{name}_shortcut")
    return se("post", layers.Add(name=f"{name}_add")([y, se("identity", x)]))


def stages(x: Any, table: Sequence[tuple[int, int, int]], se: Any, unit: Callable[..., Any]) -> Any:
    """Stages of units, (x, filters, stride, se, name) → x. Each stage after the first halves the image.

    `table` is the result of `stage_table`.
    """
    for stage, depth, width in table:
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            x = unit(x, width, 2 if block == 1 and stage > 1 else 1, se=partial(se, stage=stage, name=name), name=name)
    return x
