"""Estimates how much memory LiteRT for Microcontrollers needs to run a file, without the device.

The runtime has one block of memory, the arena. One end holds intermediate tensors, which share memory if they are not
live at the same time. The other end holds persistent structures.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from keras_se.export.tflite.graph import FileGraph, FileOperation

# MicroArenaBufferAlignment() of tensorflow/lite/micro/micro_arena_constants.h.
ALIGNMENT = 16

# Persistent bytes, for pointers of 4 or 8 bytes. Tensors and nodes are the structures TfLiteEvalTensor and
# NodeAndRegistration. The other two are allowances, a little above the figures measured with the reference kernels: for
# the interpreter itself, and for the parameters of an operation.
TENSOR = {4: 12, 8: 24}
NODE = {4: 32, 8: 64}
INTERPRETER = {4: 1536, 8: 2560}
OPERATION = {4: 80, 8: 112}
# A multiplier and a shift for each output channel of these operations, if they are quantized.
CHANNEL = 8
PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# A 16-bit softmax has two tables of 513 values.
SOFTMAX_TABLES = 2 * 513 * 2
# While the runtime plans, lists of all tensors and buffers occupy the memory of the tensors.
PLANNING, PLANNING_TENSOR, PLANNING_BUFFER = 256, 32, 56

# Kernels that use scratch memory: an accumulator for each output, and two lists of axes.
REDUCERS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL")


@dataclass(frozen=True)
class Buffer:
    """Memory of `size` bytes that is live from operation `first` to operation `last`, inclusive."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """An estimate in bytes: `tensors` for intermediate tensors, `persistent` by the size of a pointer."""

    tensors: int
    persistent: dict[int, int]

    def total(self, pointer: int = 4) -> int:
        return self.tensors + self.persistent[pointer]


def estimated_arena(graph: FileGraph) -> Arena:
    """Estimates the arena for a graph with the runtime's reference kernels.

    Kernels that are optimized for a processor (CMSIS-NN, Xtensa) can need more scratch memory.
    """
    buffers = lifetimes(graph)
    planning = PLANNING + PLANNING_TENSOR * len(graph.tensors) + PLANNING_BUFFER * len(buffers)
    tensors = _aligned(max(peak(buffers, plan(buffers)), planning))
    return Arena(tensors, {word: _aligned(_persistent(graph, word)) for word in TENSOR})


def lifetimes(graph: FileGraph) -> list[Buffer]:
    """The buffers of a graph, in the order in which the runtime's `AllocationInfoBuilder` lists them.

    Inputs are live from the start, outputs until the end, and the operands of an operation while it runs.
    """
    first, last = dict.fromkeys(graph.inputs, 0), dict.fromkeys(graph.inputs, 0)
    for time, operation in enumerate(graph.operations, start=1):
        for index in operation.outputs:
            first.setdefault(index, time)
        for index in (*operation.inputs, *operation.outputs):
            last[index] = time
    end = len(graph.operations)
    for index in graph.outputs:
        first.setdefault(index, end)
        last[index] = end
    return [
        Buffer(_aligned(tensor.size), first.get(index, 0), last.get(index, 0))
        for index, tensor in enumerate(graph.tensors)
        if not tensor.constant and tensor.size
    ] + _scratch(graph)


def plan(buffers: Sequence[Buffer]) -> list[int]:
    """The offset of each buffer, as the runtime's `GreedyMemoryPlanner` assigns it: live buffers never overlap.

    From the largest buffer to the smallest (the last of equal ones first), each takes the first gap between the buffers
    that are live at the same time.
    """
    offsets = [0] * len(buffers)
    placed: list[int] = []  # by offset
    for index in sorted(range(len(buffers)), key=lambda index: (-buffers[index].size, -index)):
        buffer, offset = buffers[index], 0
        for other in placed:
            if buffers[other].first > buffer.last or buffer.first > buffers[other].last:
                continue
            if offsets[other] - offset >= buffer.size:
                break
            offset = max(offset, offsets[other] + buffers[other].size)
        offsets[index] = offset
        placed.insert(bisect_right(placed, offset, key=offsets.__getitem__), index)
    return offsets


def peak(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    """The size of a plan in bytes."""
    return max((offset + buffer.size for buffer, offset in zip(buffers, offsets, strict=True)), default=0)


def _scratch(graph: FileGraph) -> list[Buffer]:
    buffers = []
    for time, operation in enumerate(graph.operations, start=1):
        if operation.name in REDUCERS:
            source, axes = (graph.tensors[index] for index in operation.inputs[:2])
            result = graph.tensors[operation.outputs[0]]
            buffers += [Buffer(_aligned(4 * n), time, time) for n in (result.count, len(source.shape), axes.count)]
    return buffers


def _persistent(graph: FileGraph, word: int) -> int:
    operations = len(graph.operations)
    structures = INTERPRETER[word] + TENSOR[word] * len(graph.tensors) + (NODE[word] + OPERATION[word]) * operations
    scratch = word * sum(operation.name in REDUCERS for operation in graph.operations) * 3
    return structures + scratch + sum(_tables(graph, operation) for operation in graph.operations)


def _tables(graph: FileGraph, operation: FileOperation) -> int:
    """The bytes that an operation precomputes: for each channel, or a table of all values."""
    name, inputs, outputs = operation.name, operation.inputs, operation.outputs
    if name == "SOFTMAX" and graph.tensors[inputs[0]].type == "INT16":
        return SOFTMAX_TABLES
    if name in PER_CHANNEL and graph.tensors[outputs[0]].scales:
        return CHANNEL * graph.tensors[outputs[0]].shape[-1]
    return 0


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
