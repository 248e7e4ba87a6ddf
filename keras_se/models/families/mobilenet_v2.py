"""SE-MobileNetV2: inverted residuals, with SE after each depthwise convolution."""

from functools import partial
from typing import Any

from keras_se._validation import positive_number
from keras_se.models._shared.blocks import channels, conv_bn, divisible
from keras_se.models._shared.builder import AFTER_WIDTH, builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.inverted_residual import EPSILON, PLACEMENTS, inverted_residual
from keras_se.models._shared.network import Head, dense_head

# Expansion, filters, depth and stride of each stage (table 2 of Sandler et al.).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
POSITIONAL = ("input_shape", "alpha", *AFTER_WIDTH)


@builder("se_mobilenet_v2", positional=POSITIONAL, placements=PLACEMENTS)
def SEMobileNetV2(image: Any, se: Excite, *, alpha: float = 1.0) -> tuple[Any, Head]:
    """SE-MobileNetV2: MobileNetV2 with SE after each depthwise convolution's batch norm and activation.

    With `r=None` it is the network of `keras.applications.MobileNetV2`. Layers are named after their position:
    `stage3_block2_expand`, `stage3_block2_depthwise`, `stage3_block2_se`, `stage3_block2_project`.

    Example:

    >>> from keras_se.models import SEMobileNetV2
    >>> SEMobileNetV2(input_shape=(64, 64, 3), alpha=0.35, classes=10).output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` and `"3x3"` are after the depthwise convolution, as in MobileNetV3; `"pre"` is before the
            expansion; in blocks with a shortcut, `"post"` is after the addition and `"identity"` on the shortcut.
        alpha: Width multiplier, a number above 0; widths are rounded to multiples of 8.

    {returns}

    Reference:
        [MobileNetV2](https://arxiv.org/abs/1801.04381), Sandler et al., table 2.
    """
    alpha = positive_number("alpha", alpha)
    x = conv_bn(
        image, divisible(32 * alpha), 3, 2, padding="same", activation="relu6", epsilon=EPSILON, name="stem_conv"
    )
    for stage, (expansion, filters, depth, stride) in enumerate(STAGES, start=1):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            x = inverted_residual(
                x,
                expansion * channels(x) if expansion > 1 else None,
                divisible(int(filters * alpha)),
                3,
                stride if block == 1 else 1,
                activation="relu6",
                se=partial(se, stage=stage, name=name),
                name=name,
            )
    width = divisible(1280 * max(alpha, 1.0))
    return conv_bn(x, width, activation="relu6", epsilon=EPSILON, name="final_conv"), dense_head
