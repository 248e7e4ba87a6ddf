"""A program: `tflite_profiler.py JOB RESULT` times the operations of a TFLite file with LiteRT's profiler.

JOB is the JSON document of `benchmark.py`, with one file. RESULT has the type and the seconds of each operation that
ran, also inside the delegate, for each `call`; or the `problem`.

LiteRT's wheel exposes its profiler only through the C interface (`docs/decisions.md`), which may change with a version.
So the program checks every status and the kinds of events, and runs in a process that may crash.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

CPU = 1
# Kinds of events: an operation that LiteRT runs, and one of its delegate (8 if the delegate runs the whole graph).
OPERATION, IN_DELEGATE = 2, (4, 8)
KINDS = {1 << bit for bit in range(9)}
# A part of the network that the delegate runs, and operations that run subgraphs: what is inside has its own events.
PARTITION = "DELEGATE"
CONTROL_FLOW = ("CALL", "CALL_ONCE", "IF", "STABLEHLO_WHILE", "WHILE")
TENSOR_TYPE_BYTES = 512  # more than LiteRtRankedTensorType has


class Event(ctypes.Structure):
    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_uint32),
        ("start", c_uint64),
        ("microseconds", c_uint64),
        ("memory", c_int64 * 6),
        ("node", c_uint64),
        ("graph", c_uint64),
        ("source", c_uint32),
    )


class LiteRt:
    """The functions of the library without their prefix. They raise an exception for a status other than success."""

    def __init__(self) -> None:
        import ai_edge_litert

        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).with_name("libLiteRt.so")))
        self._libc = ctypes.CDLL(None)
        self._libc.strdup.restype = c_void_p

    def __getattr__(self, name: str) -> Callable[..., None]:
        function = getattr(self._library, f"LiteRt{name}")

        def call(*arguments: Any) -> None:
            if status := function(*arguments):
                raise RuntimeError(f"LiteRt{name} returned {status}")

        return call

    def made(self, name: str, *arguments: Any) -> c_void_p:
        """Calls a function whose last argument is the address of its result, and returns the result."""
        result = c_void_p()
        getattr(self, name)(*arguments, byref(result))
        return result

    def options(self, identifier: bytes, text: bytes) -> c_void_p:
        """Options in TOML for one part of LiteRT, which frees them."""
        payload = c_void_p(self._libc.strdup(text))
        return self.made("CreateOpaqueOptions", identifier, payload, ctypes.cast(self._libc.free, c_void_p))


def profile(job: dict[str, Any]) -> dict[str, Any]:
    """The type and the seconds of each operation, in each call."""
    litert = LiteRt()
    environment = litert.made("CreateEnvironment", c_int(0), None)
    model = litert.made("CreateModelFromFile", environment, job["files"][0][0].encode())
    options = litert.made("CreateOptions")
    litert.SetOptionsHardwareAccelerators(options, c_int(CPU))
    for identifier, text in (
        (b"runtime_options_string", b"enable_profiling = true\n"),
        (b"xnnpack", b"num_threads = %d\n" % job["threads"]),
    ):
        litert.AddOpaqueOptions(options, litert.options(identifier, text))
    compiled = litert.made("CreateCompiledModel", environment, model, options)
    signature = litert.made("GetModelSignature", model, c_size_t(0))
    inputs, outputs = (_buffers(litert, environment, compiled, signature, role) for role in ("Input", "Output"))
    buffers = (c_size_t(len(inputs)), inputs, c_size_t(len(outputs)), outputs)
    profiler = litert.made("CompiledModelGetProfiler", compiled)
    calls = []
    for turn in range(job["warm_up"] + job["rounds"]):
        litert.ResetProfiler(profiler)
        litert.StartProfiler(profiler)
        litert.RunCompiledModel(compiled, c_size_t(0), *buffers)
        litert.StopProfiler(profiler)
        if turn >= job["warm_up"]:
            calls.append([(event.tag.decode(), event.microseconds / 1e6) for event in _operations(litert, profiler)])
    return {"calls": calls}


def _buffers(litert: LiteRt, environment: c_void_p, compiled: c_void_p, signature: c_void_p, role: str) -> Any:
    """A buffer for each tensor of the role `"Input"` or `"Output"`."""
    count = c_size_t()
    getattr(litert, f"GetNumSignature{role}s")(signature, byref(count))
    buffers = (c_void_p * count.value)()
    for i in range(count.value):
        tensor_type = ctypes.create_string_buffer(TENSOR_TYPE_BYTES)
        litert.GetRankedTensorType(litert.made(f"GetSignature{role}TensorByIndex", signature, c_size_t(i)), tensor_type)
        requirements = litert.made(f"GetCompiledModel{role}BufferRequirements", compiled, c_size_t(0), c_size_t(i))
        buffers[i] = litert.made("CreateManagedTensorBufferFromRequirements", environment, tensor_type, requirements)
    return buffers


def _operations(litert: LiteRt, profiler: c_void_p) -> list[Event]:
    """The events of operations in a call, without those whose time is that of other events."""
    count = c_int()
    litert.GetNumProfilerEvents(profiler, byref(count))
    events = (Event * count.value)()
    litert.GetProfilerEvents(profiler, count, events)
    if not {event.kind for event in events} <= KINDS:
        raise RuntimeError("returned events of an unknown kind: this version of LiteRT is not supported")
    inside = [event for event in events if event.kind in IN_DELEGATE]
    outside = [event for event in events if event.kind == OPERATION]
    covered: tuple[str, ...] = (PARTITION,) if inside else ()
    if len({event.graph for event in inside + outside}) > 1:
        covered += CONTROL_FLOW
    return inside + [event for event in outside if event.tag.decode().upper() not in covered]


def main(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return profile(job)
    except (OSError, AttributeError, RuntimeError, ImportError) as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
