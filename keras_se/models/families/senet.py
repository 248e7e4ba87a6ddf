"""SENet-154, the winner of ILSVRC 2017: a wide SE-ResNeXt with a deep stem and 3x3 shortcuts."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from keras_se._validation import positive_integer, rate
from keras_se.models._shared.builder import APPLICATIONS, builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head, stage_table
from keras_se.models._shared.residual import BOTTLENECK, FILTERS, project, smallest, stages, stem_of, unit


@builder("senet", positional=("depths", *APPLICATIONS), min_size=smallest)
def SENet(
    image: Any,
    se: Excite,
    *,
    depths: Sequence[int],
    filters: Sequence[int] = FILTERS,
    groups: int = 64,
    stem: str = "deep",
    pool: str = "ceil",
    dropout: float = 0.2,
) -> tuple[Any, Head]:
    """A SENet of any depth and width, made of the blocks of SENet-154.

    The first 1x1 of a bottleneck has twice the stage's filters, the 3x3 and the last 1x1 four times as many. The
    shortcut is a 3x3 convolution where it has a stride.

    Example:

    >>> from keras_se.models import SENet
    >>> model = SENet((1, 1), filters=(4, 8), groups=2, input_shape=(64, 64, 3), classes=10)
    >>> model.get_layer("stage2_block1_conv2").groups
    2

    Args:
        depths: The number of blocks in each stage. Every stage after the first halves the image.
        {arguments}
            As in `SEResNet`.
        filters: The number of filters of each stage, a quarter of its outputs.
        groups: Positive integer, the groups of the 3x3 convolutions.
        stem, pool: As in `SEResNet`.
        dropout: Dropout rate before the classifier, from 0 to below 1.

    {returns}

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., section 6.1 and appendix.
    """
    branch = replace(BOTTLENECK, widths=(2, 4, 4), strided=1, groups=positive_integer("groups", groups))
    table = stage_table(depths, filters)
    x = stem_of(image, stem, 2 * filters[0], pool)
    x = stages(x, table, se, partial(unit, branch=branch, shortcut=partial(project, kernel=3)))
    return x, partial(dense_head, dropout=rate("dropout", dropout))


SENet154 = variant(SENet, "SENet154", "SENet-154: 3-8-36-3 blocks.", {"name": "senet154"}, depths=(3, 8, 36, 3))
