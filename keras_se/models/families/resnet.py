"""SE-ResNet and SE-ResNeXt: residual networks with squeeze-and-excitation in every block."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from keras_se._validation import one_of, positive_integer
from keras_se.models._shared.builder import APPLICATIONS, builder, variant
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head, stage_table
from keras_se.models._shared.residual import BRANCHES, FILTERS, SHORTCUTS, Branch, smallest, stages, stem_of, unit


def _branch(block: str, width: int, groups: int, stride_in: str, branch_relu: bool) -> Branch:
    branch = replace(BRANCHES[one_of("block", block, BRANCHES)], relu=branch_relu)
    width, groups = positive_integer("width", width), positive_integer("groups", groups)
    kernel = {"1x1": 1, "3x3": 3}[one_of("stride_in", stride_in, ("1x1", "3x3"))]
    if block == "bottleneck":
        return replace(branch, widths=(width, width, 4), groups=groups, strided=branch.kernels.index(kernel))
    if (width, groups) != (1, 1):
        raise ValueError(f"block='basic' requires width=1 and groups=1. Received: width={width}, groups={groups}")
    return branch  # the stride is in its first convolution, a 3x3


@builder("se_resnet", positional=("depths", *APPLICATIONS), min_size=smallest)
def SEResNet(
    image: Any,
    se: Excite,
    *,
    depths: Sequence[int],
    block: str = "bottleneck",
    filters: Sequence[int] = FILTERS,
    width: int = 1,
    groups: int = 1,
    stride_in: str = "1x1",
    stem: str = "imagenet",
    pool: str = "ceil",
    shortcut: str = "projection",
    branch_relu: bool = False,
) -> tuple[Any, Head]:
    """An SE-ResNet or SE-ResNeXt of any depth and width; `SEResNet50` and its siblings fix some options.

    Layers are named after their position: `stem_conv`, `stage3_block2_conv1`, `stage3_block2_se`,
    `stage3_block2_relu`, `predictions`.

    Example:

    >>> from keras_se.models import SEResNet
    >>> model = SEResNet((1, 1), block="basic", filters=(16, 32), stem="small", input_shape=(32, 32, 3), classes=10)
    >>> model.get_layer("stage2_block1_se").r
    16

    The ResNets of torchvision and timm ("v1.5") have `stride_in="3x3", pool="padded"`. ResNet-D also has
    `stem="deep", shortcut="average"`.

    Args:
        depths: The number of blocks in each stage. Every stage after the first halves the image.
        {arguments}
            `"standard"` is before the addition; `"pre"` is before the branch; `"post"` is after the addition and its
            ReLU; `"identity"` is on the shortcut; `"3x3"` is in the branch, after the ReLU of the first 3x3.
        block: `"bottleneck"` (1x1, 3x3, 1x1) or `"basic"` (3x3, 3x3).
        filters: The filters of the 3x3 convolutions in each stage. A bottleneck has four times as many outputs.
        width: Positive integer that multiplies the first two convolutions of a bottleneck; 2 in ResNeXt (32x4d).
        groups: Positive integer, the groups of the 3x3 in a bottleneck; 32 in ResNeXt.
        stride_in: The convolution of a bottleneck that has the stride: `"1x1"`, the first, as in the authors'
            SE-ResNets; or `"3x3"`, as in their SE-ResNeXts.
        stem: `"imagenet"`, a 7x7 convolution and a pooling, to a quarter of the size, for images of 32x32 or more;
            `"deep"`, with three 3x3 in place of the 7x7; or `"small"`, one 3x3 at full size, for 8x8 or more.
        pool: The stem's max-pooling: `"ceil"`, in ceil mode without padding, as in Caffe; or `"padded"`, padded by 1
            on each side, as in PyTorch.
        shortcut: Where the shape changes: `"projection"`, a 1x1 convolution; `"average"`, an average pooling and a
            1x1 convolution (ResNet-D); or `"zeros"`, without weights (option A of He et al., for CIFAR).
        branch_relu: Whether the branch ends in a ReLU, before SE, as in timm's legacy SE-ResNet-18 and -34.

    {returns}

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., table 1 and figure 5; the
        authors' released networks. [Aggregated Residual Transformations](https://arxiv.org/abs/1611.05431), Xie
        et al. [Bag of Tricks](https://arxiv.org/abs/1812.01187), He et al., figure 2 (ResNet-D).
    """
    branch = _branch(block, width, groups, stride_in, branch_relu)
    shortcut_of = SHORTCUTS[one_of("shortcut", shortcut, SHORTCUTS)]
    table = stage_table(depths, filters)
    x = stem_of(image, stem, filters[0], pool)
    return stages(x, table, se, partial(unit, branch=branch, shortcut=shortcut_of)), dense_head


def _imagenet(depth: int, depths: tuple[int, ...], block: str) -> Any:
    doc = f"SE-ResNet-{depth}: {block} blocks, {'-'.join(map(str, depths))}."
    return variant(SEResNet, f"SEResNet{depth}", doc, {"name": f"se_resnet{depth}"}, depths=depths, block=block)


def _resnext(depth: int, depths: tuple[int, ...]) -> Any:
    doc = f"SE-ResNeXt-{depth} (32x4d): bottlenecks with a 3x3 of 32 groups, {'-'.join(map(str, depths))}."
    fixed = {"depths": depths, "block": "bottleneck", "width": 2, "groups": 32, "stride_in": "3x3"}
    return variant(SEResNet, f"SEResNeXt{depth}", doc, {"name": f"se_resnext{depth}"}, **fixed)


def _cifar(depth: int) -> Any:
    blocks = (depth - 2) // 6
    doc = f"SE-ResNet-{depth} for CIFAR: basic blocks of 16, 32 and 64 filters, {blocks} each; zero-padded shortcuts."
    fixed = {"depths": (blocks,) * 3, "block": "basic", "filters": (16, 32, 64), "stem": "small", "shortcut": "zeros"}
    settings = {"name": f"se_resnet{depth}", "size": 32, "classes": 10}
    return variant(SEResNet, f"SEResNet{depth}", doc, settings, **fixed)


SEResNet18 = _imagenet(18, (2, 2, 2, 2), "basic")
SEResNet34 = _imagenet(34, (3, 4, 6, 3), "basic")
SEResNet50 = _imagenet(50, (3, 4, 6, 3), "bottleneck")
SEResNet101 = _imagenet(101, (3, 4, 23, 3), "bottleneck")
SEResNet152 = _imagenet(152, (3, 8, 36, 3), "bottleneck")
SEResNeXt50 = _resnext(50, (3, 4, 6, 3))
SEResNeXt101 = _resnext(101, (3, 4, 23, 3))
SEResNet20 = _cifar(20)
SEResNet32 = _cifar(32)
SEResNet44 = _cifar(44)
SEResNet56 = _cifar(56)
SEResNet110 = _cifar(110)
