"""Files as bare calls of their runtimes: inputs are set once, so that what is timed is the runtime, and no Python.

It needs NumPy and one runtime, and nothing else of this package: a process whose memory is measured imports it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SIGNATURE = "serving_default"
ONNX_DTYPES = {"float": "float32", "double": "float64"}
INTEGERS = "iu"


@dataclass(frozen=True)
class Opened:
    """A file in its runtime: a call that runs it once, and the shapes of its inputs by name, batch included."""

    call: Callable[[], object]
    inputs: Mapping[str, tuple[int, ...]]


def opened(path: str, format: str, threads: int, batch_size: int = 1, size: int = 224) -> Opened:
    """Loads a file, and gives it random inputs.

    Args:
        path: The file, or the folder of a SavedModel.
        format: `"tflite"`, `"onnx"` or `"saved_model"`.
        threads: How many threads the runtime has. TensorFlow's number is of the process, and set by the first file.
        batch_size: Samples in a call, where the file leaves that open.
        size: What other sizes are that the file leaves open.

    Raises:
        Exception: whatever the runtime raises at a file that it cannot load.
    """
    sizes = (batch_size, size)
    return {"tflite": _tflite, "onnx": _onnx, "saved_model": _saved_model}[format](path, threads, sizes)


def onnx_session(path: str, threads: int, profile: str | None = None) -> Any:
    """An ONNX Runtime session on the CPU; `profile` is where its profile goes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Its threads would go on waiting busily after a call, at the cost of the file whose turn is next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_call(session: Any, sizes: tuple[int, int]) -> Opened:
    feeds = {}
    for argument in session.get_inputs():
        dtype = argument.type.removeprefix("tensor(").removesuffix(")")
        shape = _known([one if isinstance(one, int) else None for one in argument.shape], sizes)
        feeds[argument.name] = values(shape, ONNX_DTYPES.get(dtype, dtype))
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return Opened(lambda: session.run_with_iobinding(binding), {name: x.shape for name, x in feeds.items()})


def values(shape: Sequence[int], dtype: str, seed: int = 0) -> np.ndarray:
    """Random numbers: normal ones, whole ones of 8 bits, or 0 and 1 where integers are wider.

    The wider ones may be places in a table, which can be of any size.
    """
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind in INTEGERS:
        limits = np.iinfo(kind)
        low, high = (limits.min, limits.max) if kind.itemsize == 1 else (0, 1)
        return rng.integers(low, high, shape, dtype=kind, endpoint=True)
    return rng.standard_normal(shape).astype(kind)


def _onnx(path: str, threads: int, sizes: tuple[int, int]) -> Opened:
    return onnx_call(onnx_session(path, threads), sizes)


def _tflite(path: str, threads: int, sizes: tuple[int, int]) -> Opened:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    details = interpreter.get_input_details()
    shapes = [_known([None if one < 0 else int(one) for one in _signature(detail)], sizes) for detail in details]
    for detail, shape in zip(details, shapes, strict=True):
        if tuple(detail["shape"]) != shape:
            interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    for detail, shape in zip(details, shapes, strict=True):
        interpreter.set_tensor(detail["index"], values(shape, np.dtype(detail["dtype"]).name))
    return Opened(interpreter.invoke, {detail["name"]: shape for detail, shape in zip(details, shapes, strict=True)})


def _signature(detail: Mapping[str, Any]) -> Sequence[int]:
    """The shape, with -1 where it is open; files without a signature have it in the other field alone."""
    return detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]


def _saved_model(path: str, threads: int, sizes: tuple[int, int]) -> Opened:
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    function = tf.saved_model.load(path).signatures[SIGNATURE]
    specs = function.structured_input_signature[1]
    feeds = {name: values(_known(spec.shape, sizes), spec.dtype.name) for name, spec in specs.items()}
    tensors = {name: tf.constant(x) for name, x in feeds.items()}
    return Opened(lambda: function(**tensors), {name: x.shape for name, x in feeds.items()})


def _known(shape: Sequence[int | None], sizes: tuple[int, int]) -> tuple[int, ...]:
    """A shape with the batch and the sizes filled in that it leaves open."""
    batch, size = sizes
    return tuple((batch if axis == 0 else size) if known is None else int(known) for axis, known in enumerate(shape))
