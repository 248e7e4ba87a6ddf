"""SE-Inception-ResNet-v2: SE on each residual branch, before the addition."""

from functools import partial
from typing import Any

from keras import layers

from keras_se._validation import positive_number
from keras_se.models._shared.blocks import channels, conv
from keras_se.models._shared.branches import NORM, SHRINK, Conv, Module, apply, first_module, module, stem
from keras_se.models._shared.builder import builder
from keras_se.models._shared.excite import Excite
from keras_se.models._shared.network import Head, dense_head

REDUCTION_1: Module = (
    (Conv(384, 3, 2, "valid"),),
    (Conv(256), Conv(256, 3), Conv(384, 3, 2, "valid")),
    (SHRINK,),
)
REDUCTION_2: Module = (
    (Conv(256), Conv(384, 3, 2, "valid")),
    (Conv(256), Conv(288, 3, 2, "valid")),
    (Conv(256), Conv(288, 3), Conv(320, 3, 2, "valid")),
    (SHRINK,),
)
BLOCK_35: Module = ((Conv(32),), (Conv(32), Conv(32, 3)), (Conv(32), Conv(48, 3), Conv(64, 3)))
BLOCK_17: Module = ((Conv(192),), (Conv(128), Conv(160, (1, 7)), Conv(192, (7, 1))))
BLOCK_8: Module = ((Conv(192),), (Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1))))

# Each stage: its first module, its residual blocks and their number, and the factor of their branch.
STAGES: tuple[tuple[Module, Module, int, float], ...] = (
    (first_module(96, 64), BLOCK_35, 10, 0.17),
    (REDUCTION_1, BLOCK_17, 20, 0.1),
    (REDUCTION_2, BLOCK_8, 10, 0.2),
)


def _residual(x: Any, branches: Module, alpha: float, scale: float, last: bool, se: Any, name: str) -> Any:
    """relu(x + scale · branch(x)); the network's last block has neither scale nor ReLU."""
    y = module(se("pre", x), branches, name, alpha, **NORM)
    y = se("standard", conv(y, channels(x), use_bias=True, name=f"{name}_conv"))
    y = y if last else layers.Rescaling(scale, name=f"{name}_scale")(y)
    x = layers.Add(name=f"{name}_add")([se("identity", x), y])
    x = x if last else layers.Activation("relu", name=f"{name}_relu")(x)
    return se("post", x)


@builder("se_inception_resnet_v2", size=299, min_size=75, placements=("standard", "pre", "post", "identity"))
def SEInceptionResNetV2(image: Any, se: Excite, *, alpha: float = 1.0) -> tuple[Any, Head]:
    """SE-Inception-ResNet-v2: SE on the residual branch of each block, before the addition.

    With `r=None` it is the network of `keras.applications.InceptionResNetV2`. The first block of each stage is a module
    without shortcut, and has no SE: `stage2_block1_concat`, `stage2_block2_conv`, `stage2_block2_se`.

    Example:

    >>> from keras_se.models import SEInceptionResNetV2
    >>> SEInceptionResNetV2(alpha=0.1, input_shape=(96, 96, 3), classes=10).output_shape
    (None, 10)

    Args:
        {arguments}
            `"standard"` is before the addition; `"pre"` is before the branch; `"post"` is after the addition and its
            ReLU; `"identity"` is on the shortcut.
        alpha: Width multiplier, a number above 0.

    {returns}

    Reference:
        [Inception-v4, Inception-ResNet](https://arxiv.org/abs/1602.07261), Szegedy et al.; as released with TensorFlow.
    """
    alpha = positive_number("alpha", alpha)
    x = stem(image, alpha)
    for stage, (opening, branches, depth, scale) in enumerate(STAGES, start=1):
        x = module(x, opening, f"stage{stage}_block1", alpha, **NORM)
        for block in range(2, depth + 2):
            name = f"stage{stage}_block{block}"
            last = stage == len(STAGES) and block == depth + 1
            x = _residual(x, branches, alpha, scale, last, partial(se, stage=stage, name=name), name)
    return apply(x, Conv(1536), "final_conv", alpha, **NORM), dense_head
