"""SE-ResNet: residual networks with squeeze-and-excitation in every block."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_se.models.blocks import conv_bn, max_pool_ceil
from keras_se.models.excite import Excite, excite
from keras_se.models.network import network

SE = Callable[[int], keras.layers.Layer | None]

# Blocks of each stage, and their kind.
VARIANTS: dict[int, tuple[tuple[int, ...], str]] = {
    18: ((2, 2, 2, 2), "basic"),
    34: ((3, 4, 6, 3), "basic"),
    50: ((3, 4, 6, 3), "bottleneck"),
    101: ((3, 4, 23, 3), "bottleneck"),
    152: ((3, 8, 36, 3), "bottleneck"),
}
FILTERS = (64, 128, 256, 512)


def _imagenet_stem(x: Any, filters: int) -> Any:
    return max_pool_ceil(conv_bn(x, filters, 7, 2, name="stem_conv"), name="stem_pool")


def _small_stem(x: Any, filters: int) -> Any:
    return conv_bn(x, filters, 3, name="stem_conv")


# A stem, and the smallest image that four stages leave a pixel of.
STEMS = {"imagenet": (_imagenet_stem, 32), "small": (_small_stem, 8)}


def _basic(x: Any, filters: int, stride: int, se: Callable[[str, Any], Any], name: str) -> Any:
    x = se("3x3", conv_bn(x, filters, 3, stride, name=f"{name}_conv1"))
    return conv_bn(x, filters, 3, activation=None, name=f"{name}_conv2")


def _bottleneck(x: Any, filters: int, stride: int, se: Callable[[str, Any], Any], name: str) -> Any:
    x = conv_bn(x, filters, 1, stride, name=f"{name}_conv1")
    x = se("3x3", conv_bn(x, filters, 3, name=f"{name}_conv2"))
    return conv_bn(x, 4 * filters, 1, activation=None, name=f"{name}_conv3")


# A residual branch, and how many times its filters it returns.
BLOCKS = {"basic": (_basic, 1), "bottleneck": (_bottleneck, 4)}


def _residual(
    x: Any, kind: str, filters: int, stride: int, project: bool, se: Callable[[str, Any], Any], name: str
) -> Any:
    """One residual unit: relu(branch(x) + shortcut(x)). Figure 5 of the paper has the placements of SE."""
    branch, expansion = BLOCKS[kind]
    y = branch(se("pre", x), filters, stride, se, name)
    y = se("standard", y)
    if project:
        x = conv_bn(x, expansion * filters, 1, stride, activation=None, name=f"{name}_shortcut")
    y = layers.Add(name=f"{name}_add")([y, se("identity", x)])
    return se("post", layers.Activation("relu", name=f"{name}_relu")(y))


def _features(image: Any, depths: Sequence[int], filters: Sequence[int], kind: str, stem: str, se: Excite) -> Any:
    x = STEMS[stem][0](image, filters[0])
    for stage, (depth, width) in enumerate(zip(depths, filters, strict=True), start=1):
        for block in range(1, depth + 1):
            first = block == 1
            x = _residual(
                x,
                kind,
                width,
                stride=2 if first and stage > 1 else 1,
                project=first and (stage > 1 or BLOCKS[kind][1] > 1),
                se=partial(se, stage=stage, block=block),
                name=f"stage{stage}_block{block}",
            )
    return x


def SEResNet(
    depths: Sequence[int],
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor: Any = None,
    input_shape: tuple | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "se_resnet",
    *,
    block: str = "bottleneck",
    filters: Sequence[int] = FILTERS,
    stem: str = "imagenet",
    r: int | None = 16,
    se: SE | None = None,
    placement: str = "standard",
) -> keras.Model:
    """An SE-ResNet of any depth and width; `SEResNet50` and its siblings are rows of a table that call it.

    Layers are named after their place: `stem_conv`, `stage3_block2_conv1`, `stage3_block2_se`,
    `stage3_block2_relu`, `predictions`.

    Example:

    >>> from keras_se.models import SEResNet
    >>> model = SEResNet((1, 1), block="basic", filters=(16, 32), stem="small", input_shape=(32, 32, 3), classes=10)
    >>> model.get_layer("stage2_block1_se").r
    16

    Args:
        depths: The number of blocks in each stage. Every stage after the first halves the image.
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name: As in
            `keras.applications`. `weights` is `None` (random) or the path of a `.weights.h5` file of this network.
            `input_shape` is (height, width, channels), 224x224x3 by default with the top, of unknown size without.
        block: `"bottleneck"` (1x1, 3x3, 1x1; the first strides) or `"basic"` (3x3, 3x3).
        filters: The width of each stage's 3x3 convolutions.
        stem: `"imagenet"`, a 7x7 convolution and a pooling, a quarter of the size (images from 32x32 up), or
            `"small"`, a 3x3 convolution at full size (CIFAR and such, from 8x8 up).
        r: The reduction ratio, or `None` for the plain network.
        se: A callable, stage (1, 2, …) → a new layer or `None`, for any other excitation. It wins over `r`.
        placement: `"standard"` (before the addition), `"pre"` (before the branch), `"post"` (after the addition
            and its ReLU), `"identity"` (on the shortcut) or `"3x3"` (inside the branch, after the first 3x3
            convolution's ReLU).

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: for an argument out of its range.

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., table 1 and figure 5; the
        authors' released networks, which put the stride of a bottleneck into its first convolution.
    """
    if stem not in STEMS:
        raise ValueError(f'stem must be "imagenet" or "small". Received: stem={stem!r}')
    if block not in BLOCKS:
        raise ValueError(f'block must be "bottleneck" or "basic". Received: block={block!r}')
    if not depths or len(depths) != len(filters):
        raise ValueError(
            f"depths and filters must have a number for every stage. Received: depths={depths}, filters={filters}"
        )
    placed = excite(r, se, placement)
    return network(
        lambda image: _features(image, depths, filters, block, stem, placed),
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
        min_size=STEMS[stem][1],
    )


def _named(depth: int) -> Callable[..., keras.Model]:
    depths, block = VARIANTS[depth]

    def builder(
        include_top: bool = True,
        weights: str | os.PathLike | None = None,
        input_tensor: Any = None,
        input_shape: tuple | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = f"se_resnet{depth}",
        *,
        r: int | None = 16,
        se: SE | None = None,
        placement: str = "standard",
        stem: str = "imagenet",
    ) -> keras.Model:
        return SEResNet(
            depths,
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
            block=block,
            stem=stem,
            r=r,
            se=se,
            placement=placement,
        )

    builder.__name__ = builder.__qualname__ = f"SEResNet{depth}"
    builder.__doc__ = f"""SE-ResNet-{depth}: {block} blocks, {"-".join(map(str, depths))}.

    The arguments are those of `SEResNet`, without `depths`, `block` and `filters`.
    """
    return builder


SEResNet18 = _named(18)
SEResNet34 = _named(34)
SEResNet50 = _named(50)
SEResNet101 = _named(101)
SEResNet152 = _named(152)
