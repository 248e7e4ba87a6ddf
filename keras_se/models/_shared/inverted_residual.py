"""The inverted residual: the block of MobileNetV2 and MobileNetV3."""

from typing import Any

from keras import layers

from keras_se.models._shared.blocks import channels, conv_bn, depthwise_bn

EPSILON = 1e-3
PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")


def inverted_residual(
    x: Any,
    expanded: int | None,
    filters: int,
    kernel: int,
    stride: int,
    *,
    activation: str,
    se: Any,
    name: str,
    padding: str = "same",
    epsilon: float = EPSILON,
) -> Any:
    """Expansion, depthwise convolution and projection, added to `x` where the shapes are equal.

    SE follows the depthwise convolution (both `"standard"` and `"3x3"`), on the widest map, as in MnasNet and
    MobileNetV3. There is no activation after the addition.

    Args:
        x: Feature map.
        expanded: Channels between expansion and projection; `None` for no expansion.
        filters: Channels of the output.
        kernel, stride, padding: Settings of the depthwise convolution.
        activation: The activation after the expansion and after the depthwise convolution.
        epsilon: Epsilon of the batch norms.
        se: (place, x) → x, with SE added if the block has it there.
        name: The name of the block, and of its layers.
    """
    y = se("pre", x)
    if expanded is not None:
        y = conv_bn(y, expanded, activation=activation, epsilon=epsilon, name=f"{name}_expand")
    y = depthwise_bn(
        y, kernel, stride, activation=activation, epsilon=epsilon, padding=padding, name=f"{name}_depthwise"
    )
    y = se("3x3", se("standard", y))
    y = conv_bn(y, filters, activation=None, epsilon=epsilon, name=f"{name}_project")
    if stride > 1 or channels(x) != filters:
        return y
    return se("post", layers.Add(name=f"{name}_add")([se("identity", x), y]))
