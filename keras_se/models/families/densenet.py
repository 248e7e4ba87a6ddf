"""SE-DenseNet: SE at the end of each dense block and of each transition."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from keras import layers

from keras_se._validation import positive_integer, positive_integers
from keras_se.models._shared.blocks import bn_act, channels, concat, conv, conv_bn, max_pool_padded
from keras_se.models._shared.builder import APPLICATIONS, builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head

EPSILON = 1.001e-5


def _dense_layer(x: Any, growth: int, se: Any, name: str) -> Any:
    """(…, channels) → (…, channels + growth): x, and new channels that are computed from it."""
    y = bn_act(x, epsilon=EPSILON, name=f"{name}_pre")
    y = conv_bn(y, 4 * growth, epsilon=EPSILON, name=f"{name}_conv1")
    y = conv(y, growth, 3, name=f"{name}_conv2")
    return concat([x, se("3x3", y)], name=f"{name}_concat")


def _transition(x: Any, name: str) -> Any:
    """Halves the channels, the height and the width."""
    x = bn_act(x, epsilon=EPSILON, name=name)
    x = conv(x, channels(x) // 2, name=f"{name}_conv")
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _smallest(depths: Sequence[int], **options: Any) -> int:
    return max(32, 2 ** (len(positive_integers("depths", depths)) + 1))


@builder("se_densenet", positional=("depths", *APPLICATIONS), min_size=_smallest, placements=("standard", "3x3"))
def SEDenseNet(image: Any, se: Excite, *, depths: Sequence[int], growth: int = 32) -> tuple[Any, Head]:
    """An SE-DenseNet of any depth and growth.

    With `r=None` it is the network of `keras.applications.DenseNet121` and its siblings. The SE layer of a dense block
    is called `stage2_se`, that of a transition `transition2_se`.

    Example:

    >>> from keras_se.models import SEDenseNet
    >>> model = SEDenseNet((2, 2), growth=8, input_shape=(64, 64, 3), classes=10)
    >>> [layer.name for layer in model.layers if layer.name.endswith("_se")]
    ['stage1_se', 'transition1_se', 'stage2_se']

    Args:
        depths: The number of layers of each dense block. The transition between two dense blocks halves the image.
        {arguments}
            `"standard"` is at the end of each dense block and each transition; `"3x3"` is after the 3x3 convolution
            of each layer, on the channels that it adds.
        growth: The number of channels that each layer adds.

    {returns}

    Reference:
        [Densely Connected Convolutional Networks](https://arxiv.org/abs/1608.06993), Huang et al., table 1.
    """
    growth = positive_integer("growth", growth)
    depths = positive_integers("depths", depths)
    x = conv_bn(image, 2 * growth, 7, 2, epsilon=EPSILON, name="stem_conv")
    x = max_pool_padded(x, name="stem_pool")
    for stage, depth in enumerate(depths, start=1):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            x = _dense_layer(x, growth, partial(se, stage=stage, name=name), name)
        x = se("standard", x, stage=stage, name=f"stage{stage}")
        if stage < len(depths):
            name = f"transition{stage}"
            x = se("standard", _transition(x, name), stage=stage, name=name)
    return bn_act(x, epsilon=EPSILON, name="final"), dense_head


def _named(depth: int, depths: tuple[int, ...]) -> Any:
    doc = f"SE-DenseNet-{depth}: dense blocks of {'-'.join(map(str, depths))} layers, growth 32."
    return variant(SEDenseNet, f"SEDenseNet{depth}", doc, {"name": f"se_densenet{depth}"}, depths=depths, growth=32)


SEDenseNet121 = _named(121, (6, 12, 24, 16))
SEDenseNet169 = _named(169, (6, 12, 32, 32))
SEDenseNet201 = _named(201, (6, 12, 48, 32))
SEDenseNet264 = _named(264, (6, 12, 64, 48))
