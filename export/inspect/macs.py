"""Multiply-accumulates of the operations of a file."""

import math

from keras_se.export.inspect.inspection import Shape, TensorInfo


def elements(shape: Shape | None) -> int | None:
    """How many values a tensor has, a batch that is not fixed being one sample; `None` if that cannot be known."""
    if shape is None or None in shape[1:]:
        return None
    return math.prod(1 if size is None else size for size in shape)


def gating_macs(operands: list[TensorInfo], result: TensorInfo) -> int | None:
    """Multiply-accumulates of a product of a map with gates, as SE has it: 0 for a product of any other kind."""
    if len(operands) != 2 or any(tensor.constant for tensor in operands):
        return 0
    first, second = (tensor.shape for tensor in operands)
    return 0 if first == second else elements(result.shape)
