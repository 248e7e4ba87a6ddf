"""SE-MobileNet (v1): depthwise separable convolutions, each followed by squeeze-and-excitation."""

from functools import partial
from typing import Any

from keras_se._validation import positive_integer, positive_number, rate
from keras_se.models._shared.blocks import conv_bn, depthwise_bn, scaled
from keras_se.models._shared.builder import AFTER_WIDTH, builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, convolutional_head, smallest_of

# Filters and number of blocks of each stage. The first block of every stage but the first halves the image.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))
STEM_FILTERS = 32
# The stride of the stem, and the smallest image that the stages leave a pixel of.
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

    With `r=None` it is the network of `keras.applications.MobileNet`, weight for weight and in the same order.
    Layers are named after their place: `stem_conv`, `stage4_block2_depthwise`, `stage4_block2_pointwise`,
    `stage4_block2_se`, `predictions`.

    Example:

    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(input_shape=(64, 64, 3), alpha=0.25, classes=10)
    >>> model.output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` is after the pointwise convolution, `"3x3"` after the depthwise one, `"pre"` before both.
            There is no residual branch, so neither `"post"` nor `"identity"`.
        alpha: A number (> 0) that every width is multiplied with.
        depth_multiplier: The outputs of a depthwise convolution for each channel.
        dropout: Rate before the classifier.
        stem: `"imagenet"`, stride 2 (images from 32x32 up), or `"small"`, stride 1 (from 16x16 up).

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: for an argument out of its range.

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
            at = partial(se, stage=stage, name=name)
            x = depthwise_bn(
                at("pre", x),
                3,
                2 if block == 1 and stage > 1 else 1,
                padding="end",  # as in the reference network, whatever the size
                depth_multiplier=depth_multiplier,
                name=f"{name}_depthwise",
                **BN_RELU6,
            )
            x = conv_bn(at("3x3", x), scaled(filters, alpha), name=f"{name}_pointwise", **BN_RELU6)
            x = at("standard", x)
    return x, head
