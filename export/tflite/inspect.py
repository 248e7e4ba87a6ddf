"""Inspects a TFLite file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_se.export.inspect.inspection import STANDARD, Inspection, Operation, TensorInfo, with_quantization
from keras_se.export.inspect.macs import count_macs
from keras_se.export.metadata import parsed
from keras_se.export.modes import stated_mode
from keras_se.export.probes.sandbox import RefusedError, probe
from keras_se.export.tflite.graph import FileGraph, graphs
from keras_se.export.tflite.metadata import embedded
from keras_se.export.tflite.mode import find_mode

EIGHT_BITS_OR_FEWER = ("int8", "uint8", "int4", "int2")


def inspect(path: Path) -> Inspection:
    """Reads a TFLite file in another process, which also loads it in LiteRT.

    Raises:
        ValueError: for another kind of file, or a damaged one.
    """
    found = _described(path)
    main, *others = graphs(found)
    tensors = [_tensors(graph) for graph in (main, *others)]
    delegated = set(found["delegated"]) if "delegated" in found else None
    operations = list(_operations(main, tensors[0], delegated))
    inputs, outputs = _named(main, tensors[0], operations)
    for graph, known in zip(others, tensors[1:], strict=True):  # the delegate runs the main graph alone
        operations += _operations(graph, known, None if delegated is None else set())
    document = parsed(embedded(path))
    mode = find_mode(
        ((one.kind, [tensor.dtype for tensor in one.outputs]) for one in operations),
        (tensor.dtype for known in tensors for tensor in known),
    )
    return Inspection(
        path,
        "tflite",
        path.stat().st_size,
        stated_mode(mode, document),
        inputs,
        outputs,
        tuple(operations),
        found.get("partitions"),
        found.get("problem"),
        metadata=found["metadata"],
        document=document,
    )


def _described(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"FILE must be a whole TFLite file. Received: {str(path)!r} (not a file)")
    try:
        found = probe("tflite_loader.py", path)
    except RefusedError as refusal:
        raise ValueError(f"FILE must be a TFLite file for LiteRT. Received: {str(path)!r} (LiteRT {refusal})") from None
    if "damaged" in found:
        raise ValueError(f"FILE must be a whole TFLite file. Received: {str(path)!r} ({found['damaged'][:300]})")
    return found


def _tensors(graph: FileGraph) -> list[TensorInfo]:
    return [
        TensorInfo(
            tensor.stored_name,
            tensor.shape_signature,
            tensor.type.lower(),
            tensor.scales[0] if tensor.scales else None,
            tensor.zero_points[0] if tensor.zero_points else (0 if tensor.scales else None),
            len(tensor.scales),
            tensor.axis if len(tensor.scales) > 1 else None,
            constant=tensor.constant,
            io=index in graph.inputs or index in graph.outputs,
        )
        for index, tensor in enumerate(graph.tensors)
    ]


def _named(
    graph: FileGraph, tensors: list[TensorInfo], operations: Sequence[Operation]
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """The inputs and the outputs, with the signature's names."""

    def named(index: int, output: bool) -> TensorInfo:
        return replace(with_quantization(tensors[index], operations, output), name=graph.tensors[index].name)

    return tuple(named(i, False) for i in graph.inputs), tuple(named(i, True) for i in graph.outputs)


def _operations(graph: FileGraph, tensors: list[TensorInfo], delegated: set[int] | None) -> Iterator[Operation]:
    """The operations of a graph; `delegated` has the indices of those that the delegate runs."""
    for index, one in enumerate(graph.operations):
        inputs = tuple(tensors[number] for number in one.inputs if number >= 0)
        outputs = tuple(tensors[number] for number in one.outputs)
        macs = count_macs(one.name, inputs, outputs) if one.domain == STANDARD else 0
        yield Operation(
            one.name,
            outputs[0].name if outputs else f"{one.name} {index}",
            inputs,
            outputs,
            macs,
            _arithmetic(inputs) if macs != 0 else "",
            one.domain,
            None if delegated is None else index in delegated,
        )


def _arithmetic(inputs: tuple[TensorInfo, ...]) -> str:
    """The type of arithmetic, by the types of the feature map and the kernel."""
    maps = [tensor.dtype for tensor in inputs if not tensor.constant] or [inputs[0].dtype]
    kernels = [tensor.dtype for tensor in inputs if tensor.constant and tensor.dtype != "int32"]
    kernel = kernels[0] if kernels else maps[-1]
    if maps[-1] == "int16":
        return "int16x8"
    if kernel in EIGHT_BITS_OR_FEWER:
        return "int8" if maps[-1] in EIGHT_BITS_OR_FEWER else "dynamic"
    return maps[-1]
