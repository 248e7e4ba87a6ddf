"""A denoising U-Net with SE, for diffusion."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_se._validation import positive_integer
from keras_se.layers import SinusoidalEmbedding
from keras_se.models._shared.blocks import batch_norm, channel_axis, channels, concat, conv, conv_bn
from keras_se.models._shared.excite import Excite, excite
from keras_se.models._shared.network import check_image_shape, head_dtype, stage_table
from keras_se.models._shared.residual import project_averaged

PLACEMENTS = ("standard", "pre", "post", "identity")


def SEDiffusionUNet(
    input_shape: tuple[int | None, int | None, int],
    classes: int | None = None,
    *,
    filters: Sequence[int] = (32, 64),
    depths: Sequence[int] = (2, 2),
    r: int | None = 4,
    se: Callable[[int], keras.layers.Layer | None] | None = None,
    placement: str = "standard",
    activation: str = "silu",
    name: str = "se_diffusion_unet",
) -> keras.Model:
    """A denoising network for diffusion, with SE in its blocks: (noisy image, time, label) → velocity.

    The velocity is v = signal · ε − noise · image. The network is a U-Net of residual blocks. Each stage after the
    first halves the image. An equal number of stages doubles it again, each with a skip connection from the stage of
    its size.
    Every block adds a projection of time and label to its channels.

    Its norms are batch norms, which exports fold into the convolutions before them. A group norm would be a dozen
    operations in a file, and the most sensitive to 8 bits.

    Example:

    >>> from keras_se.models.generative import SEDiffusionUNet
    >>> model = SEDiffusionUNet((8, 8, 1), classes=10, filters=(16, 32), depths=(1, 1))
    >>> sorted(model.input), model.output_shape
    (['image', 'label', 'time'], (None, 8, 8, 1))

    Args:
        input_shape: (height, width, channels) of the image, whose values are about −1 to 1. Height and width must be
            divisible by 2 once for each stage after the first, or `None`.
        classes: Number of classes, or `None` for a network without the input `label`.
        filters: The number of filters of each stage, from the image's size down.
        depths: The number of blocks of each stage, the same on the way up.
        r: Positive integer, the reduction ratio, or `None` for the plain network.
        se: A callable, stage (1, 2, …) → a new layer or `None`, for any other excitation. It takes precedence over
            `r`. The stages on the way up continue the count: with two stages down, the third has the size of the first.
        placement: `"standard"` (before the addition), `"pre"` (before the block's first convolution), `"post"` (after
            the addition) or `"identity"` (on the shortcut).
        activation: The name of an activation. `"relu"` is the cheapest on small devices, but learns less well.
        name: The model's name.

    Returns:
        A functional `keras.Model` with inputs by name: `image` (batch, height, width, channels); `time` (batch, 1),
        from 0 to 1; and, with classes, `label` (batch, classes), one-hot, or zeros for no class. Its output has the
        shape of `image`.

    Raises:
        ValueError: for an argument out of its range.

    Reference:
        [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239), Ho et al.; the velocity:
        [Progressive Distillation](https://arxiv.org/abs/2202.00512), Salimans and Ho, appendix D.
    """
    table = stage_table(depths, filters)
    if not isinstance(input_shape, list | tuple):
        raise ValueError(f"input_shape must be a tuple. Received: input_shape={input_shape!r}")
    check_image_shape("input_shape", tuple(input_shape), 1)
    _check_halves(tuple(input_shape), len(table))
    block = partial(_block, se=excite(r, se, placement, PLACEMENTS), activation=activation)
    inputs = {"image": keras.Input(tuple(input_shape), name="image"), "time": keras.Input((1,), name="time")}
    if classes is not None:
        inputs["label"] = keras.Input((positive_integer("classes", classes),), name="label")
    condition = _condition(inputs, filters[0], activation)
    x = conv_bn(inputs["image"], filters[0], 3, activation=activation, name="stem_conv")
    skips = []
    for stage, depth, width in table:
        x = _stage(x, condition, stage, depth, width, 2 if stage > 1 else 1, block)
        skips.append(x)
    for stage, (_, depth, width) in enumerate(reversed(table[:-1]), start=len(table) + 1):
        skips.pop()
        # A kernel as large as the stride: no pixel is written twice, which would show as a chequerboard.
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"stage{stage}_up")(x)
        x = concat([x, skips[-1]], name=f"stage{stage}_concat")
        x = _stage(x, condition, stage, depth, width, 1, block)
    output = layers.Conv2D(channels(inputs["image"]), 3, padding="same", dtype=head_dtype(), name="velocity")(x)
    return keras.Model(inputs, output, name=name)


def _check_halves(shape: tuple, stages: int) -> None:
    sizes = shape[1:] if channel_axis() == 1 else shape[:2]
    divisor = 2 ** (stages - 1)
    if any(size is not None and size % divisor for size in sizes):
        raise ValueError(
            f"Height and width must be divisible by {divisor}: {stages} stages halve them {stages - 1} times. "
            f"Received: input_shape={shape}"
        )


def _condition(inputs: dict[str, Any], width: int, activation: str) -> Any:
    """Time and label as a map of one position, (batch, 1, 1, 4 · width), for all blocks."""
    # Half precision has too few digits for sines of several periods.
    x = SinusoidalEmbedding(2 * width, dtype=head_dtype(), name="time_embedding")(inputs["time"])
    if "label" in inputs:
        x = layers.Concatenate(name="condition_concat")([x, inputs["label"]])
    for number in (1, 2):
        x = layers.Dense(4 * width, activation=activation, name=f"condition_dense{number}")(x)
    shape = (4 * width, 1, 1) if channel_axis() == 1 else (1, 1, 4 * width)
    return layers.Reshape(shape, name="condition")(x)


def _stage(x: Any, condition: Any, stage: int, depth: int, width: int, stride: int, block: Callable[..., Any]) -> Any:
    for number in range(1, depth + 1):
        x = block(x, condition, width, stride if number == 1 else 1, stage=stage, name=f"stage{stage}_block{number}")
    return x


def _block(
    x: Any, condition: Any, filters: int, stride: int, *, se: Excite, activation: str, stage: int, name: str
) -> Any:
    """activation(branch(x, condition) + shortcut(x))."""
    excite = partial(se, stage=stage, name=name)
    y = conv(excite("pre", x), filters, 3, stride, name=f"{name}_conv1")
    y = batch_norm(y, name=f"{name}_conv1_bn")
    added = conv(condition, filters, use_bias=True, name=f"{name}_condition")
    y = layers.Add(name=f"{name}_conditioned")([y, added])
    y = layers.Activation(activation, name=f"{name}_conv1_{activation}")(y)
    y = excite("standard", conv_bn(y, filters, 3, activation=None, name=f"{name}_conv2"))
    if stride > 1 or channels(x) != channels(y):
        x = project_averaged(x, filters, stride, f"{name}_shortcut")
    y = layers.Add(name=f"{name}_add")([y, excite("identity", x)])
    return excite("post", layers.Activation(activation, name=f"{name}_{activation}")(y))
