"""The memory plan, checked by brute force, and compared with the runtime itself where it is installed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_se.export.microcontroller.arena import ALIGNMENT, Buffer, estimated_arena, lifetimes, peak, plan
from keras_se.export.tflite.graph import FileGraph, FileOperation, FileTensor, read_graph
from tests.support.microcontrollers import runtime


def buffers():
    sizes = st.integers(1, 40).map(lambda n: n * ALIGNMENT)
    times = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
    return st.lists(st.builds(lambda size, time: Buffer(size, *time), sizes, times), max_size=16)


def live(found, time):
    return [buffer for buffer in found if buffer.first <= time <= buffer.last]


@given(buffers())
def test_no_two_buffers_that_live_at_once_overlap(found):
    offsets = plan(found)
    for time in range(13):
        taken = [
            byte
            for buffer, offset in zip(found, offsets, strict=True)
            if buffer.first <= time <= buffer.last
            for byte in range(offset // ALIGNMENT, (offset + buffer.size) // ALIGNMENT)
        ]
        assert len(taken) == len(set(taken))


@given(buffers())
def test_arena_plan_is_between_peak_liveness_and_total(found):
    taken = peak(found, plan(found))
    assert taken >= max(sum(buffer.size for buffer in live(found, time)) for time in range(13))
    assert taken <= sum(buffer.size for buffer in found)


@given(buffers())
def test_offsets_are_aligned(found):
    assert all(offset % ALIGNMENT == 0 and offset >= 0 for offset in plan(found))


def test_plan_places_largest_first_in_the_first_gap():
    found = [Buffer(16, 0, 1), Buffer(64, 0, 1), Buffer(32, 2, 3), Buffer(16, 1, 3), Buffer(64, 3, 4)]
    assert plan(found) == [64, 0, 64, 96, 0]
    assert peak(found, plan(found)) == 112


def test_of_equal_ones_the_last_is_placed_first():
    assert plan([Buffer(16, 0, 1), Buffer(16, 0, 1), Buffer(16, 0, 1)]) == [32, 16, 0]


def test_nothing_takes_nothing():
    assert plan([]) == []
    assert peak([], []) == 0


def tensor(count, constant=False, shape=None):
    return FileTensor("INT8", shape or (1, count), constant, (0.5,), (0,), "")


def chain():
    """Two operations, one after the other; the first has weights, the second an input that is left out."""
    tensors = tuple(tensor(count, constant) for count, constant in [(20, False), (7, True), (40, False), (9, False)])
    operations = (FileOperation("ADD", (0, 1), (2,)), FileOperation("ADD", (2, -1), (3,)))
    return FileGraph(tensors, operations, (0,), (3,))


def test_tensors_live_from_their_maker_to_their_last_reader():
    assert lifetimes(chain()) == [Buffer(32, 0, 1), Buffer(48, 1, 2), Buffer(16, 2, 2)]


def test_an_input_that_is_an_output_too_lives_all_the_time():
    graph = chain()
    kept = FileGraph(graph.tensors, graph.operations, (0,), (3, 0))
    assert lifetimes(kept)[0] == Buffer(32, 0, 2)


def test_a_mean_needs_an_accumulator_while_it_runs():
    tensors = (tensor(0, shape=(1, 4, 4, 10)), tensor(2, True, (2,)), tensor(0, shape=(1, 1, 1, 10)))
    graph = FileGraph(tensors, (FileOperation("MEAN", (0, 1), (2,)),), (0,), (2,))
    assert lifetimes(graph)[2:] == [Buffer(48, 1, 1), Buffer(16, 1, 1), Buffer(16, 1, 1)]


CASES = [
    *[(name, "int8") for name in ("se_resnet", "se_mobilenet", "two_inputs", "sequence", "grouped")],
    *[("se_resnet", mode) for mode in (None, "int16x8")],
]


@pytest.mark.reference
@pytest.mark.parametrize(("name", "mode"), CASES)
def test_estimate_is_close_above_the_runtime(micro, name, mode, capfd):
    content = next(micro(name, mode).path.glob("*.tflite")).read_bytes()
    arena = estimated_arena(read_graph(content))
    runtime().Interpreter.from_bytes(content, arena_size=1 << 20).print_allocations()
    printed = capfd.readouterr().err
    head, tail = (int(re.search(rf"Arena allocation {part} (\d+) bytes", printed)[1]) for part in ("head", "tail"))
    assert head <= arena.tensors <= max(head, 16384)
    assert 0.5 * arena.persistent[8] <= tail <= arena.persistent[8]
    # And so the runtime starts in an arena of that size.
    runtime().Interpreter.from_bytes(content, arena_size=arena.total(8)).invoke()
