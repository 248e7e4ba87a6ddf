"""Multiply-accumulates of the operations of a file, in every format."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_se.export.inspect.inspection import Shape, TensorInfo

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """How an operation with a kernel is counted.

    Attributes:
        cost: Multiply-accumulates for each counted value, by the kernel's shape.
        kernel: The index of the kernel among the inputs.
        counted: The index of the input whose values are counted; `None` to count those of the output. A transposed
            convolution multiplies each value of its input by the kernel; other operations multiply for each value of
            the output.
    """

    cost: Callable[[Sizes], int]
    kernel: int = 1
    counted: int | None = None


def _rows(kernel: Sizes) -> int:
    return kernel[-2] if len(kernel) > 1 else kernel[0]  # a vector is one column


def _all_but_first(kernel: Sizes) -> int:
    return math.prod(kernel[1:])


def _all_but_last(kernel: Sizes) -> int:
    return math.prod(kernel[:-1])


WORK = {
    # TFLite: kernels are (filters, height, width, channels of a group).
    "CONV_2D": Work(_all_but_first),
    "DEPTHWISE_CONV_2D": Work(lambda kernel: math.prod(kernel[1:3])),
    "CONV_3D": Work(_all_but_last),
    "TRANSPOSE_CONV": Work(_all_but_last, counted=2),
    "FULLY_CONNECTED": Work(lambda kernel: kernel[-1]),
    "BATCH_MATMUL": Work(_rows),
    # ONNX: kernels are (filters, channels of a group, height, width).
    **dict.fromkeys(("Conv", "ConvInteger"), Work(_all_but_first)),
    "QLinearConv": Work(_all_but_first, kernel=3),
    "ConvTranspose": Work(_all_but_first, counted=0),
    **dict.fromkeys(("Gemm", "MatMul", "MatMulInteger"), Work(_rows)),
    "QLinearMatMul": Work(_rows, kernel=3),
    # TensorFlow: kernels are (height, width, channels of a group, filters).
    **dict.fromkeys(("Conv2D", "Conv3D"), Work(_all_but_last)),
    "DepthwiseConv2dNative": Work(lambda kernel: math.prod(kernel[:2])),
    "Conv2DBackpropInput": Work(_all_but_last, counted=2),
    "BatchMatMulV2": Work(_rows),
}
PRODUCTS = ("MUL", "Mul", "MulNoNan")


def count_macs(
    kind: str, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], *, transposed: bool = False
) -> int | None:
    """Multiply-accumulates of an operation in its format's own domain; `None` if a shape is not known.

    `transposed` says whether the kernel of a matrix product is transposed.
    """
    if kind in PRODUCTS and outputs:
        return gating_macs(inputs, outputs[0])
    work = WORK.get(kind)
    if work is None or len(inputs) <= work.kernel or not outputs:
        return 0
    counted = outputs[0] if work.counted is None or work.counted >= len(inputs) else inputs[work.counted]
    places, kernel = elements(counted.shape), inputs[work.kernel].shape
    if places is None or not kernel or None in kernel:
        return None
    sizes = tuple(size or 0 for size in kernel)
    return places * (sizes[-1] if transposed else work.cost(sizes))


def elements(shape: Shape | None) -> int | None:
    """The number of values of a tensor, with a dynamic batch as one sample; `None` if a size is not known."""
    if shape is None or None in shape[1:]:
        return None
    return math.prod(1 if size is None else size for size in shape)


def gating_macs(operands: Sequence[TensorInfo], result: TensorInfo) -> int | None:
    """Multiply-accumulates of a feature map times gates, as in SE blocks; 0 for any other product."""
    if len(operands) != 2 or any(tensor.constant for tensor in operands):
        return 0
    first, second = (tensor.shape for tensor in operands)
    return 0 if first == second else elements(result.shape)
