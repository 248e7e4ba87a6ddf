"""A program: `tflite_profiler.py JOB RESULT` has LiteRT's profiler time the operations of a TFLite file.

The profiler times what the delegate runs, too, operation by operation. No Python package has it: it is called by
LiteRT's C interface, of which another version may have another form. So it runs in a process of its own, which may
crash, and gives no times where what it gets is not what it should be.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

CPU = 1
# Kinds of events: an operation that LiteRT runs, and one of its delegate (the second form: if that is all it runs).
OPERATION, IN_DELEGATE = 2, (4, 8)
KINDS = {1 << bit for bit in range(9)}
# What stands for a part of the network that the delegate runs: its operations are events of their own.
PARTITION = "DELEGATE"
# What runs other graphs of the file, whose operations are events of their own.
CONTROL_FLOW = ("CALL", "CALL_ONCE", "IF", "STABLEHLO_WHILE", "WHILE")
TENSOR_TYPE_BYTES = 512  # more than it takes


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
    """The library's functions, whose status is checked."""

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
        """What a function makes, whose last argument is where it goes."""
        result = c_void_p()
        getattr(self, name)(*arguments, byref(result))
        return result

    def options(self, identifier: bytes, text: bytes) -> c_void_p:
        """Options of a part of LiteRT, in TOML, which LiteRT frees."""
        payload = c_void_p(self._libc.strdup(text))
        return self.made("CreateOpaqueOptions", identifier, payload, ctypes.cast(self._libc.free, c_void_p))


def profile(job: dict[str, Any]) -> dict[str, Any]:
    """Kind and seconds of each operation, in each call."""
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
    inputs, outputs = (_buffers(litert, environment, compiled, signature, end) for end in ("Input", "Output"))
    ends = (c_size_t(len(inputs)), inputs, c_size_t(len(outputs)), outputs)
    profiler = litert.made("CompiledModelGetProfiler", compiled)
    calls = []
    for turn in range(job["warm_up"] + job["rounds"]):
        litert.ResetProfiler(profiler)
        litert.StartProfiler(profiler)
        litert.RunCompiledModel(compiled, c_size_t(0), *ends)
        litert.StopProfiler(profiler)
        if turn >= job["warm_up"]:
            calls.append([(event.tag.decode(), event.microseconds / 1e6) for event in _operations(litert, profiler)])
    return {"calls": calls}


def _buffers(litert: LiteRt, environment: c_void_p, compiled: c_void_p, signature: c_void_p, end: str) -> Any:
    count = c_size_t()
    getattr(litert, f"GetNumSignature{end}s")(signature, byref(count))
    buffers = (c_void_p * count.value)()
    for i in range(count.value):
        tensor = litert.made(f"GetSignature{end}TensorByIndex", signature, c_size_t(i))
        kind = ctypes.create_string_buffer(TENSOR_TYPE_BYTES)
        litert.GetRankedTensorType(tensor, kind)
        needs = litert.made(f"GetCompiledModel{end}BufferRequirements", compiled, c_size_t(0), c_size_t(i))
        buffers[i] = litert.made("CreateManagedTensorBufferFromRequirements", environment, kind, needs)
    return buffers


def _operations(litert: LiteRt, profiler: c_void_p) -> list[Event]:
    count = c_int()
    litert.GetNumProfilerEvents(profiler, byref(count))
    events = (Event * count.value)()
    litert.GetProfilerEvents(profiler, count, events)
    if not {event.kind for event in events} <= KINDS:
        raise RuntimeError("the events of this version of LiteRT have another form")
    inside = [event for event in events if event.kind in IN_DELEGATE]
    outside = [event for event in events if event.kind == OPERATION]
    counted: tuple[str, ...] = (PARTITION,) if inside else ()
    if len({event.graph for event in inside + outside}) > 1:
        counted += CONTROL_FLOW
    return inside + [event for event in outside if event.tag.decode().upper() not in counted]


def main(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return profile(job)
    except (OSError, AttributeError, RuntimeError, ImportError) as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
