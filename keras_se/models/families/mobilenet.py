"""SE-MobileNet (v1): depthwise separable convolutions, each followed by squeeze-and-excitation."""

from functools import partial
from typing import Any

from keras_se._validation import positive_integer, positive_number, rate
from keras_se.models._shared.blocks import conv_bn, depthwise_bn, scaled
from keras_se.models._shared.builder import AFTER_WIDTH, builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, convolutional_head, smallest_of

# Filters and number of blocks of each stage. Each stage after the first halves the image in its first block.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
STEM_FILTERS = 32
# The stride of each stem, and the smallest image of which the stages leave a pixel.
STEMS = {"imagenet": (2, 32), "small": (1, 16)}
BN_RELU6: dict[str, Any] = {"activation": "relu6", "epsilon": 1e-3}
POSITIONAL = ("input_shape", "alpha", "depth_multiplier", "dropout", *AFTER_WIDTH)


@builder("se_mobilenet", positional=POSITIONAL, min_size=smallest_of(STEMS), placements=("standard", "pre", "3x3"))
def SEMobileNet(
    image: Any,
    se: Excite,
    *,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    stem: str = "imagenet",
) -> tuple[Any, Head]:
    """SE-MobileNet: MobileNet with SE after each pointwise convolution's batch norm and activation.

    With `r=None` it is the network of `keras.applications.MobileNet`, with the same weights in the same order.
    Layers are named after their position: `stem_conv`, `stage4_block2_depthwise`, `stage4_block2_pointwise`,
    `stage4_block2_se`, `predictions`.

    Example:

    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(input_shape=(64, 64, 3), alpha=0.25, classes=10)
    >>> model.output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` is after the pointwise convolution; `"3x3"` is after the depthwise convolution; `"pre"` is
            before both.
        alpha: Width multiplier, a number above 0.
        depth_multiplier: Positive integer, the outputs of a depthwise convolution per input channel.
        dropout: Dropout rate before the classifier, from 0 to below 1.
        stem: `"imagenet"`, stride 2, for images of 32x32 or more; or `"small"`, stride 1, for 16x16 or more.

    {returns}

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., table 3;
        [MobileNets](https://arxiv.org/abs/1704.04861), Howard et al., table 1.
    """
    alpha = positive_number("alpha", alpha)
    depth_multiplier = positive_integer("depth_multiplier", depth_multiplier)
    head = partial(convolutional_head, dropout=rate("dropout", dropout))
    x = conv_bn(image, scaled(STEM_FILTERS, alpha), 3, STEMS[stem][0], padding="same", name="stem_conv", **BN_RELU6)
    for stage, (filters, depth) in enumerate(STAGES, start=1):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            excite = partial(se, stage=stage, name=name)
            x = depthwise_bn(
                excite("pre", x),
                3,
                2 if block == 1 and stage > 1 else 1,
                padding="end",  # as in the reference network, for any image size
                depth_multiplier=depth_multiplier,
                name=f"{name}_depthwise",
                **BN_RELU6,
            )
            x = conv_bn(excite("3x3", x), scaled(filters, alpha), name=f"{name}_pointwise", **BN_RELU6)
            x = excite("standard", x)
    return x, head
