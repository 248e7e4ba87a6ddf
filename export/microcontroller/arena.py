"""How much memory LiteRT for Microcontrollers needs to run a file: an estimate, made without the device.

The runtime has one block of memory, the arena. At one end are the tensors that operations pass to each other, which
share memory where they are not needed at the same time; at the other end is what it keeps all the time.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from keras_se.export.tflite.graph import FileGraph, FileOperation

# MicroArenaBufferAlignment() of tensorflow/lite/micro/micro_arena_constants.h.
ALIGNMENT = 16

# What the runtime keeps, in bytes, where a pointer has 4 or 8 of them. Tensors and nodes are its structures
# TfLiteEvalTensor and NodeAndRegistration; the rest are allowances, a little above what was seen of its reference
# kernels: for the interpreter itself, and for the parameters of an operation.
TENSOR = {4: 12, 8: 24}
NODE = {4: 32, 8: 64}
INTERPRETER = {4: 1536, 8: 2560}
OPERATION = {4: 80, 8: 112}
# A multiplier and a shift for each output channel, of these in integers.
CHANNEL = 8
PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# A softmax in 16 bits has two tables of 513 values.
SOFTMAX_TABLES = 2 * 513 * 2
# While it plans, it has lists of all tensors and of all buffers where the tensors will be.
PLANNING, PLANNING_TENSOR, PLANNING_BUFFER = 256, 32, 56

# Their kernels use memory while they run: an accumulator for each output, and two lists of axes.
REDUCERS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL")


@dataclass(frozen=True)
class Buffer:
    """Memory of a number of bytes that is needed from the operation `first` to the operation `last`, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Arena:
    """An estimate, in bytes: `tensors` for what operations pass on, `persistent` by the size of a pointer."""

    tensors: int
    persistent: dict[int, int]

    def total(self, pointer: int = 4) -> int:
        return self.tensors + self.persistent[pointer]


def estimated_arena(graph: FileGraph) -> Arena:
    """The arena that the runtime's reference kernels need for a graph.

    Kernels made for a processor (CMSIS-NN, Xtensa) can ask for more memory while they run.
    """
    buffers = lifetimes(graph)
    # The lists for planning lie where tensors will lie, and are gone by then.
    planning = PLANNING + PLANNING_TENSOR * len(graph.tensors) + PLANNING_BUFFER * len(buffers)
    tensors = _aligned(max(peak(buffers, plan(buffers)), planning))
    return Arena(tensors, {word: _aligned(_persistent(graph, word)) for word in TENSOR})


def lifetimes(graph: FileGraph) -> list[Buffer]:
    """The buffers that a graph needs, in the order in which the runtime plans them.

    As its `AllocationInfoBuilder` does: inputs live from the beginning, outputs to the end, and what an operation
    reads and writes lives while it runs.
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
    """Where each buffer begins: no two that are needed at the same time overlap.

    As the runtime's `GreedyMemoryPlanner` does: from the largest to the smallest (of equal ones the last first), each
    goes into the first gap between those that are there at the same time.
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
    """The bytes that a plan takes."""
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
    """What an operation precomputes: for each channel, or for all values that there can be."""
    name, inputs, outputs = operation.name, operation.inputs, operation.outputs
    if name == "SOFTMAX" and graph.tensors[inputs[0]].type == "INT16":
        return SOFTMAX_TABLES
    if name in PER_CHANNEL and graph.tensors[outputs[0]].scales:
        return CHANNEL * graph.tensors[outputs[0]].shape[-1]
    return 0


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
