"""Opens an ONNX file as a bare call of ONNX Runtime, for `benchmark.py` and `onnx_profiler.py`."""

from collections.abc import Callable
from typing import Any

from inputs import fixed_shape, random_values

RUNTIME = "onnxruntime"
DTYPES = {"float": "float32", "double": "float64"}


def open_call(path: str, threads: int, batch_size: int, size: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Loads a file and sets random inputs; returns a call that runs it, and the shapes of its inputs by name."""
    return bound_call(open_session(path, threads), batch_size, size)


def open_session(path: str, threads: int, profile: str = "") -> Any:
    """An ONNX Runtime session on the CPU. With `profile`, it writes its profile to a file with that prefix."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin after a call would slow down the file that is called next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def bound_call(session: Any, batch_size: int, size: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    """A call of a session with random inputs, and the shapes of its inputs by name."""
    binding, shapes = session.io_binding(), {}
    for argument in session.get_inputs():
        dtype = argument.type.removeprefix("tensor(").removesuffix(")")
        sizes = [one if isinstance(one, int) else None for one in argument.shape]
        shapes[argument.name] = fixed_shape(sizes, batch_size, size)
        binding.bind_cpu_input(argument.name, random_values(shapes[argument.name], DTYPES.get(dtype, dtype)))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding), shapes
