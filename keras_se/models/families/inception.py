"""SE-BN-Inception and SE-Inception-v3: SE after each module's concatenation."""

from functools import partial
from typing import Any

from keras_se._validation import positive_number
from keras_se.models._shared.blocks import conv_bn, max_pool_ceil, scaled
from keras_se.models._shared.branches import NORM, SHRINK, Conv, Fork, Module, Pool, first_module, module, stem
from keras_se.models._shared.builder import builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head

PLACEMENTS = ("standard", "pre")
AVG, MAX = Pool("avg"), Pool("max")


def _modules(x: Any, stages: tuple[tuple[Module, ...], ...], se: Excite, alpha: float, **norm: Any) -> Any:
    for stage, modules in enumerate(stages, start=1):
        for block, branches in enumerate(modules, start=1):
            name = f"stage{stage}_block{block}"
            excite = partial(se, stage=stage, name=name)
            x = excite("standard", module(excite("pre", x), branches, name, alpha, **norm))
    return x


# BN-Inception


def _bn_module(first: int, reduce: int, out: int, reduce2: int, out2: int, pool: Pool, projected: int) -> Module:
    branches: Module = (
        (Conv(first),),
        (Conv(reduce), Conv(out, 3)),
        (Conv(reduce2), Conv(out2, 3), Conv(out2, 3)),
        (pool, Conv(projected)),
    )
    return branches


def _bn_reduction(reduce: int, out: int, reduce2: int, out2: int) -> Module:
    branches: Module = (
        (Conv(reduce), Conv(out, 3, 2)),
        (Conv(reduce2), Conv(out2, 3), Conv(out2, 3, 2)),
        (Pool("max", 2),),
    )
    return branches


ZEROS = Pool("avg", padding="zeros")
# The paper's modules 3a 3b · 3c 4a 4b 4c 4d · 4e 5a 5b: stages 2 and 3 begin with a module of stride 2.
BN_INCEPTION: tuple[tuple[Module, ...], ...] = (
    (_bn_module(64, 64, 64, 64, 96, ZEROS, 32), _bn_module(64, 64, 96, 64, 96, ZEROS, 64)),
    (
        _bn_reduction(128, 160, 64, 96),
        _bn_module(224, 64, 96, 96, 128, ZEROS, 128),
        _bn_module(192, 96, 128, 96, 128, ZEROS, 128),
        _bn_module(160, 128, 160, 128, 160, ZEROS, 128),
        _bn_module(96, 128, 192, 160, 192, ZEROS, 128),
    ),
    (
        _bn_reduction(128, 192, 192, 256),
        _bn_module(352, 192, 320, 160, 224, ZEROS, 128),
        _bn_module(352, 192, 320, 192, 224, MAX, 128),
    ),
)


@builder("se_bn_inception", placements=PLACEMENTS)
def SEBNInception(image: Any, se: Excite, *, alpha: float = 1.0) -> tuple[Any, Head]:
    """SE-BN-Inception (Inception v2): SE after each of the ten modules, those of stride 2 included.

    Layers are named after their position: `stem_conv1`, `stage2_block3_branch1_conv1`, `stage2_block3_concat`,
    `stage2_block3_se`, `predictions`. Each stage after the first begins with a module of stride 2: the paper's module
    3c is `stage2_block1`.

    Example:

    >>> from keras_se.models import SEBNInception
    >>> model = SEBNInception(alpha=0.25, input_shape=(64, 64, 3), classes=10)
    >>> model.get_layer("stage1_block1_concat").output.shape
    (None, 8, 8, 64)

    Args:
        {arguments}
            `"standard"` is after the concatenation of a module; `"pre"` is before the module.
        alpha: Width multiplier, a number above 0.

    {returns}

    Reference:
        [Batch Normalization](https://arxiv.org/abs/1502.03167), Ioffe and Szegedy, figure 5; the authors' released
        SE-BN-Inception.
    """
    alpha = positive_number("alpha", alpha)
    x = conv_bn(image, scaled(64, alpha), 7, 2, name="stem_conv1")
    x = max_pool_ceil(x, name="stem_pool1")
    x = conv_bn(x, scaled(64, alpha), name="stem_conv2")
    x = conv_bn(x, scaled(192, alpha), 3, name="stem_conv3")
    x = max_pool_ceil(x, name="stem_pool2")
    return _modules(x, BN_INCEPTION, se, alpha), dense_head


# Inception v3


def _v3_b(width: int) -> Module:
    row, column = (1, 7), (7, 1)
    branches: Module = (
        (Conv(192),),
        (Conv(width), Conv(width, row), Conv(192, column)),
        (Conv(width), Conv(width, column), Conv(width, row), Conv(width, column), Conv(192, row)),
        (AVG, Conv(192)),
    )
    return branches


SPREAD = Fork((Conv(384, (1, 3)), Conv(384, (3, 1))))
V3_C: Module = ((Conv(320),), (Conv(384), SPREAD), (Conv(448), Conv(384, 3), SPREAD), (AVG, Conv(192)))
V3_REDUCTION_1: Module = (
    (Conv(384, 3, 2, "valid"),),
    (Conv(64), Conv(96, 3), Conv(96, 3, 2, "valid")),
    (SHRINK,),
)
V3_REDUCTION_2: Module = (
    (Conv(192), Conv(320, 3, 2, "valid")),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, "valid")),
    (SHRINK,),
)
INCEPTION_V3: tuple[tuple[Module, ...], ...] = (
    (first_module(64, 32), first_module(64, 64), first_module(64, 64)),
    (V3_REDUCTION_1, _v3_b(128), _v3_b(160), _v3_b(160), _v3_b(192)),
    (V3_REDUCTION_2, V3_C, V3_C),
)


@builder("se_inception_v3", size=299, min_size=75, placements=PLACEMENTS)
def SEInceptionV3(image: Any, se: Excite, *, alpha: float = 1.0) -> tuple[Any, Head]:
    """SE-Inception-v3: SE after the concatenation of each module, those of stride 2 included.

    With `r=None` it is the network of `keras.applications.InceptionV3`. Layers are named as in `SEBNInception`.

    Example:

    >>> from keras_se.models import SEInceptionV3
    >>> SEInceptionV3(alpha=0.25, input_shape=(96, 96, 3), classes=10).output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` is after the concatenation of a module; `"pre"` is before the module.
        alpha: Width multiplier, a number above 0.

    {returns}

    Reference:
        [Rethinking the Inception Architecture](https://arxiv.org/abs/1512.00567), Szegedy et al., table 1.
    """
    alpha = positive_number("alpha", alpha)
    return _modules(stem(image, alpha), INCEPTION_V3, se, alpha, **NORM), dense_head
