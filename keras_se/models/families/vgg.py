"""SE-VGG: VGG with batch norm, and SE after each convolution."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from keras import layers

from keras_se._validation import positive_integer, positive_integers, rate
from keras_se.models._shared.blocks import conv_bn
from keras_se.models._shared.builder import APPLICATIONS, builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, head_dtype, stage_table

FILTERS = (64, 128, 256, 512, 512)


def _head(x: Any, classes: int, activation: Any, hidden: int, dropout: float) -> Any:
    if None in x.shape[1:]:
        raise ValueError(
            "input_shape must have a known size: the first dense layer has weights for each position. "
            f"Received: a feature map of shape {x.shape[1:]}"
        )
    x = layers.Flatten(name="flatten")(x)  # (batch, height · width · channels)
    for i in (1, 2):
        x = layers.Dense(hidden, activation="relu", name=f"fc{i}")(x)
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    return layers.Dense(classes, activation=activation, dtype=head_dtype(), name="predictions")(x)


def _smallest(depths: Sequence[int], **options: Any) -> int:
    return max(32, 2 ** len(positive_integers("depths", depths)))


@builder("se_vgg", positional=("depths", *APPLICATIONS), min_size=_smallest, placements=("standard", "pre"))
def SEVGG(
    image: Any,
    se: Excite,
    *,
    depths: Sequence[int],
    filters: Sequence[int] = FILTERS,
    hidden: int = 4096,
    dropout: float = 0.5,
) -> tuple[Any, Head]:
    """An SE-VGG of any depth and width.

    As in the published networks, the convolutions have biases although batch norms follow.

    Example:

    >>> from keras_se.models import SEVGG
    >>> model = SEVGG((1, 1), filters=(16, 32), hidden=64, input_shape=(32, 32, 3), classes=10)
    >>> model.get_layer("stage2_block1_conv_bn").output.shape
    (None, 16, 16, 32)

    Args:
        depths: The number of convolutions in each stage. A pooling after each stage halves the image.
        {arguments}
            `"standard"` is after the batch norm and ReLU of a convolution; `"pre"` is before the convolution.
        filters: The number of filters of each stage.
        hidden: Positive integer, the units of the two dense layers before the classifier.
        dropout: Dropout rate after each of these two layers, from 0 to below 1.

    {returns}

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., table 2; [Very Deep
        Convolutional Networks](https://arxiv.org/abs/1409.1556), Simonyan and Zisserman, table 1 (D and E).
    """
    x = image
    for stage, depth, width in stage_table(depths, filters):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            excite = partial(se, stage=stage, name=name)
            x = conv_bn(excite("pre", x), width, 3, use_bias=True, name=f"{name}_conv")
            x = excite("standard", x)
        x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    return x, partial(_head, hidden=positive_integer("hidden", hidden), dropout=rate("dropout", dropout))


SEVGG16 = variant(
    SEVGG, "SEVGG16", "SE-VGG-16 with batch norm: 2-2-3-3-3.", {"name": "se_vgg16"}, depths=(2, 2, 3, 3, 3)
)
SEVGG19 = variant(
    SEVGG, "SEVGG19", "SE-VGG-19 with batch norm: 2-2-4-4-4.", {"name": "se_vgg19"}, depths=(2, 2, 4, 4, 4)
)
