"""Pre-activation SE-ResNet and SE-WRN, for CIFAR: batch norm and ReLU precede each convolution."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from keras_se._validation import one_of
from keras_se.models._shared.blocks import bn_act, conv
from keras_se.models._shared.builder import APPLICATIONS, builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head, stage_table
from keras_se.models._shared.residual import BRANCHES, preactivated_unit, stages

STEM_FILTERS = 16


@builder("se_preact_resnet", positional=("depths", *APPLICATIONS), size=32, min_size=8, classes=10)
def SEPreActResNet(
    image: Any, se: Excite, *, depths: Sequence[int], block: str = "bottleneck", filters: Sequence[int] = (16, 32, 64)
) -> tuple[Any, Head]:
    """A pre-activation SE-ResNet of any depth and width, for images of about 32x32.

    Each convolution follows a batch norm and a ReLU; the addition is the last step of a block.

    Example:

    >>> from keras_se.models import SEPreActResNet
    >>> SEPreActResNet((1, 1), filters=(4, 8)).output_shape
    (None, 10)

    Args:
        depths: The number of blocks in each stage. Every stage after the first halves the image.
        {arguments}
            `"standard"` is before the addition; `"pre"` is after the block's first ReLU; `"post"` is after the
            addition; `"identity"` is on the shortcut; `"3x3"` is after the ReLU that follows the first 3x3.
        block: `"bottleneck"` (1x1, 3x3, 1x1 with four times the filters) or `"basic"` (3x3, 3x3).
        filters: The number of filters of each stage.

    {returns}

    Reference:
        [Identity Mappings in Deep Residual Networks](https://arxiv.org/abs/1603.05027), He et al.; [Wide Residual
        Networks](https://arxiv.org/abs/1605.07146), Zagoruyko and Komodakis; with SE in section 5.2 of
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al.
    """
    branch = BRANCHES[one_of("block", block, BRANCHES)]
    table = stage_table(depths, filters)
    x = conv(image, STEM_FILTERS, 3, name="stem_conv")
    x = stages(x, table, se, partial(preactivated_unit, branch=branch))
    return bn_act(x, name="final"), dense_head


SEResNet164 = variant(
    SEPreActResNet,
    "SEResNet164",
    "Pre-activation SE-ResNet-164 for CIFAR: 18 bottlenecks in each stage, of 16, 32 and 64 filters.",
    {"name": "se_resnet164"},
    depths=(18, 18, 18),
    block="bottleneck",
    filters=(16, 32, 64),
)
SEWRN16_8 = variant(
    SEPreActResNet,
    "SEWRN16_8",
    "SE-WRN-16-8 for CIFAR, a wide residual network: 2 basic blocks in each stage, of 128, 256 and 512 filters.",
    {"name": "se_wrn16_8"},
    depths=(2, 2, 2),
    block="basic",
    filters=(128, 256, 512),
)
