"""SE-MobileNetV3, which was published with SE in some of its inverted residuals."""

from functools import partial
from typing import Any, NamedTuple

import keras
from keras import layers

from keras_se._validation import one_of, positive_number, rate
from keras_se.layers import SqueezeExcite
from keras_se.models._shared.blocks import channels, conv_bn, divisible
from keras_se.models._shared.builder import builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.inverted_residual import EPSILON, PLACEMENTS, inverted_residual
from keras_se.models._shared.network import Head, convolutional_head


class Block(NamedTuple):
    """A row of tables 1 and 2 of Howard et al. 2019. The expansion is a multiple of the input's channels."""

    kernel: int
    expansion: float
    filters: int
    excited: bool
    activation: str
    stride: int


RE, HS = "relu", "hard_swish"
# The blocks of each stage, and the width before the classifier.
NETWORKS: dict[str, tuple[tuple[tuple[Block, ...], ...], int]] = {
    "small": (
        (
            (Block(3, 1, 16, True, RE, 2),),
            (Block(3, 72 / 16, 24, False, RE, 2), Block(3, 88 / 24, 24, False, RE, 1)),
            (Block(5, 4, 40, True, HS, 2), Block(5, 6, 40, True, HS, 1), Block(5, 6, 40, True, HS, 1)),
            (Block(5, 3, 48, True, HS, 1), Block(5, 3, 48, True, HS, 1)),
            (Block(5, 6, 96, True, HS, 2), Block(5, 6, 96, True, HS, 1), Block(5, 6, 96, True, HS, 1)),
        ),
        1024,
    ),
    "large": (
        (
            (Block(3, 1, 16, False, RE, 1),),
            (Block(3, 4, 24, False, RE, 2), Block(3, 3, 24, False, RE, 1)),
            (Block(5, 3, 40, True, RE, 2), Block(5, 3, 40, True, RE, 1), Block(5, 3, 40, True, RE, 1)),
            (
                Block(3, 6, 80, False, HS, 2),
                Block(3, 2.5, 80, False, HS, 1),
                Block(3, 2.3, 80, False, HS, 1),
                Block(3, 2.3, 80, False, HS, 1),
            ),
            (Block(3, 6, 112, True, HS, 1), Block(3, 6, 112, True, HS, 1)),
            (Block(5, 6, 160, True, HS, 2), Block(5, 6, 160, True, HS, 1), Block(5, 6, 160, True, HS, 1)),
        ),
        1280,
    ),
}
POSITIONAL = (
    *("input_shape", "alpha", "minimalistic", "include_top", "weights", "input_tensor", "classes", "pooling"),
    *("dropout_rate", "classifier_activation", "include_preprocessing", "name"),
)


def _excitation(r: int, width: int) -> keras.layers.Layer:
    """The published excitation: a hidden width rounded to a multiple of 8, and a hard-sigmoid gate."""
    return SqueezeExcite(r, bottleneck=divisible(width / r), gate="hard_sigmoid")


def _hidden(x: Any, width: int, activation: str) -> Any:
    x = layers.Conv2D(width, 1, kernel_initializer="he_normal", name="hidden")(x)
    return layers.Activation(activation, name=f"hidden_{activation}")(x)


def _without_se(place: str, x: Any) -> Any:
    return x


@builder("se_mobilenet_v3", positional=("variant", *POSITIONAL), r=4, placements=PLACEMENTS, layer=_excitation)
def SEMobileNetV3(
    image: Any,
    se: Excite,
    *,
    variant: str,
    alpha: float = 1.0,
    minimalistic: bool = False,
    dropout_rate: float = 0.2,
    include_preprocessing: bool = True,
    everywhere: bool = False,
    padding: str = "same",
    epsilon: float = EPSILON,
) -> tuple[Any, Head]:
    """MobileNetV3, small or large, with the published SE: r = 4, ReLU, hard-sigmoid gate, width rounded to 8.

    It is the network of `keras.applications.MobileNetV3Small` or `MobileNetV3Large`; `r=None` removes SE. Layers are
    named after their position: `stage3_block2_expand`, `stage3_block2_depthwise`, `stage3_block2_se`.

    Example:

    >>> from keras_se.models import SEMobileNetV3Small
    >>> SEMobileNetV3Small(input_shape=(64, 64, 3), alpha=0.5, classes=10).get_layer("stage3_block1_se").width(48)
    16

    Args:
        variant: `"small"` or `"large"`.
        {arguments}
            `"standard"` and `"3x3"` are after the depthwise convolution, as published; `"pre"` is before the
            expansion; in blocks with a shortcut, `"post"` is after the addition and `"identity"` on the shortcut.
        alpha: Width multiplier, a number above 0, of all layers but the stem; widths are rounded to multiples of 8.
        minimalistic: Whether to build the form without 5x5 convolutions, hard swish and SE. `everywhere=True` adds SE
            to it.
        dropout_rate: Dropout rate before the classifier, from 0 to below 1.
        include_preprocessing: Whether the network scales images from 0 … 255 to -1 … 1; without, they must be scaled.
        everywhere: Whether every block has SE, not only those that were published with it.
        padding: `"same"`, as in `keras.applications`, or `"symmetric"`, as in PyTorch's form of the network.
        epsilon: Epsilon of the batch norms; 1e-5 in PyTorch's form.

    {returns}

    Reference:
        [Searching for MobileNetV3](https://arxiv.org/abs/1905.02244), Howard et al., tables 1 and 2.
    """
    stages, hidden = NETWORKS[one_of("variant", variant, NETWORKS)]
    alpha = positive_number("alpha", alpha)
    swish = RE if minimalistic else HS
    one_of("padding", padding, ("same", "symmetric"))
    epsilon = positive_number("epsilon", epsilon)
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(image) if include_preprocessing else image
    x = conv_bn(x, 16, 3, 2, padding=padding, activation=swish, epsilon=epsilon, name="stem_conv")
    for stage, blocks in enumerate(stages, start=1):
        for number, block in enumerate(blocks, start=1):
            name = f"stage{stage}_block{number}"
            excited = everywhere or (block.excited and not minimalistic)
            x = inverted_residual(
                x,
                divisible(channels(x) * block.expansion) if (stage, number) != (1, 1) else None,
                divisible(block.filters * alpha),
                3 if minimalistic else block.kernel,
                block.stride,
                activation=RE if minimalistic else block.activation,
                se=partial(se, stage=stage, name=name) if excited else _without_se,
                name=name,
                padding=padding,
                epsilon=epsilon,
            )
    x = conv_bn(x, divisible(6 * channels(x)), activation=swish, epsilon=epsilon, name="final_conv")
    width = divisible(hidden * alpha) if alpha > 1 else hidden
    return x, partial(
        convolutional_head,
        dropout=rate("dropout_rate", dropout_rate),
        hidden=partial(_hidden, width=width, activation=swish),
    )


def _named(size: str) -> Any:
    doc = f"MobileNetV3-{size.title()} with the published SE (r = 4, hard-sigmoid gate)."
    title, settings = f"SEMobileNetV3{size.title()}", {"name": f"se_mobilenet_v3_{size}"}
    return variant(SEMobileNetV3, title, doc, settings, variant=size)


SEMobileNetV3Small = _named("small")
SEMobileNetV3Large = _named("large")
