"""SE-ShuffleNet: grouped 1x1 convolutions with a channel shuffle between, and SE on each branch."""

from functools import partial
from typing import Any

from keras import layers

from keras_se._validation import one_of, positive_integer, positive_number
from keras_se.layers import ChannelShuffle
from keras_se.models._shared.blocks import channels, concat, conv_bn, depthwise_bn, max_pool_ceil, scaled
from keras_se.models._shared.builder import builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head

# Filters of the first stage by the number of groups (table 1 of Zhang et al.). Each further stage doubles them.
FILTERS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
DEPTHS = (4, 8, 4)
STEM_FILTERS = 24


def _unit(x: Any, filters: int, groups: int, first_groups: int, stride: int, se: Any, name: str) -> Any:
    """The units of figure 2 of Zhang et al.: (b), of stride 1, adds the shortcut; (c), of stride 2, concatenates it."""
    added = filters - channels(x) if stride > 1 else filters
    y = conv_bn(se("pre", x), filters // 4, groups=first_groups, name=f"{name}_conv1")
    if groups > 1:
        y = ChannelShuffle(groups, name=f"{name}_shuffle")(y)
    y = se("3x3", depthwise_bn(y, 3, stride, activation=None, padding="symmetric", name=f"{name}_depthwise"))
    y = conv_bn(y, added, groups=groups, activation=None, name=f"{name}_conv2")
    y = se("standard", y)
    if stride > 1:
        # Centred on the same pixels as the branch's convolution; the padding counts in the averages.
        x = layers.ZeroPadding2D(1, name=f"{name}_shortcut_pad")(x)
        x = layers.AveragePooling2D(3, strides=2, name=f"{name}_shortcut")(x)
        y = concat([se("identity", x), y], name=f"{name}_concat")
    else:
        y = layers.Add(name=f"{name}_add")([se("identity", x), y])
    return se("post", layers.Activation("relu", name=f"{name}_relu")(y))


@builder("se_shufflenet")
def SEShuffleNet(image: Any, se: Excite, *, groups: int = 3, alpha: float = 1.0) -> tuple[Any, Head]:
    """SE-ShuffleNet (v1): SE on the residual branch of each unit, before the addition or concatenation.

    Layers are named after their position: `stage2_block1_conv1`, `stage2_block1_shuffle`, `stage2_block1_depthwise`,
    `stage2_block1_conv2`, `stage2_block1_se`. Stage 1 is the paper's stage 2.

    Example:

    >>> from keras_se.models import SEShuffleNet
    >>> SEShuffleNet(groups=2, alpha=0.25, input_shape=(64, 64, 3), classes=10).output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` is before the addition or concatenation; `"pre"` is before the branch; `"post"` is after the
            unit's last ReLU; `"identity"` is on the shortcut; `"3x3"` is after the depthwise convolution.
        groups: The groups of the 1x1 convolutions: 1, 2, 3, 4 or 8.
        alpha: Width multiplier, a number above 0, of all layers but the stem; 1 in the 1x network.

    {returns}

    Reference:
        [ShuffleNet](https://arxiv.org/abs/1707.01083), Zhang et al., table 1; with SE in table 3 of
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al.
    """
    groups = one_of("groups", positive_integer("groups", groups), FILTERS)
    # The width and a quarter of it must both be divisible by the groups.
    step = 4 * groups
    width = max(STEM_FILTERS // step + 1, scaled(FILTERS[groups], positive_number("alpha", alpha)) // step) * step
    x = conv_bn(image, STEM_FILTERS, 3, 2, name="stem_conv")
    x = max_pool_ceil(x, name="stem_pool")
    for stage, depth in enumerate(DEPTHS, start=1):
        for block in range(1, depth + 1):
            name = f"stage{stage}_block{block}"
            x = _unit(
                x,
                width * 2 ** (stage - 1),
                groups,
                # The first 1x1 of the network is not grouped: the stem has few channels.
                first_groups=1 if (stage, block) == (1, 1) else groups,
                stride=2 if block == 1 else 1,
                se=partial(se, stage=stage, name=name),
                name=name,
            )
    return x, dense_head
