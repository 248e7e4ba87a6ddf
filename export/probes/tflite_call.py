"""Opens a TFLite file as a bare call of LiteRT, for `benchmark.py`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from inputs import fixed_shape, random_values

RUNTIME = "ai_edge_litert.interpreter"


def open_call(path: str, threads: int, batch_size: int, size: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Loads a file and sets random inputs; returns a call that runs it, and the shapes of its inputs by name."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    details, shapes = interpreter.get_input_details(), {}
    for detail in details:
        # -1 is an unknown size. Files without a signature have sizes in the second field alone.
        sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
        shapes[detail["name"]] = fixed_shape([None if one < 0 else int(one) for one in sizes], batch_size, size)
        if tuple(detail["shape"]) != shapes[detail["name"]]:
            interpreter.resize_tensor_input(detail["index"], shapes[detail["name"]])
    interpreter.allocate_tensors()
    for detail in details:
        values = random_values(shapes[detail["name"]], np.dtype(detail["dtype"]).name)
        interpreter.set_tensor(detail["index"], values)
    return interpreter.invoke, shapes
