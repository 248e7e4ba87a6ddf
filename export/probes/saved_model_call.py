"""Opens a SavedModel as a bare call of TensorFlow, for `benchmark.py`."""

from collections.abc import Callable
from typing import Any

from inputs import fixed_shape, random_values

RUNTIME = "tensorflow"
SIGNATURE = "serving_default"


def open_call(path: str, threads: int, batch_size: int, size: int) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Loads a folder and sets random inputs; returns a call that runs it, and the shapes of its inputs by name.

    TensorFlow has one number of threads for the process, and the first file sets it.
    """
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    function = tf.saved_model.load(path).signatures[SIGNATURE]
    specs = function.structured_input_signature[1]
    shapes = {name: fixed_shape(spec.shape, batch_size, size) for name, spec in specs.items()}
    tensors = {name: tf.constant(random_values(shapes[name], spec.dtype.name)) for name, spec in specs.items()}
    return lambda: function(**tensors), shapes
