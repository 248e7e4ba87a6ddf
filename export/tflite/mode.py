"""The quantization mode of a TFLite file, by the types of its tensors."""

from collections.abc import Iterable

# Operations that only convert between types; `DELEGATE` stands for a partition that LiteRT's delegate runs.
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
NO_ARITHMETIC = (*CONVERSIONS, "DELEGATE")


def find_mode(operations: Iterable[tuple[str, Iterable[str]]], tensors: Iterable[str]) -> str | None:
    """The `quantize` that a file was exported with.

    Args:
        operations: The name of each operation, and the types of its outputs.
        tensors: The types of all tensors.
    """
    computed = {dtype for name, dtypes in operations if name not in NO_ARITHMETIC for dtype in dtypes}
    stored = set(tensors)
    if "int8" in computed and computed & {"float32", "int16"}:
        return "selective"
    if "int16" in computed:
        return "int16x8"
    if computed & {"int8", "uint8"}:
        return "int8"
    return "float16" if "float16" in stored else "dynamic" if "int8" in stored else None
