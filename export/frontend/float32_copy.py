"""A float32 copy of a model that computes in another precision."""

from typing import Any

import keras
import numpy as np

from keras_se.export.errors import ExportError
from keras_se.export.frontend.tensor_spec import random_feeds, tensors_of
from keras_se.graph.copy_layers import copied, copy_weights
from keras_se.graph.walk import layers_by_path

CONVERTED = ("float16", "bfloat16", "float64")
# The accepted difference of the copy's outputs, relative to the largest output: half precision rounds in every layer.
COPY_TOLERANCE = 0.2


def float32_copy(model: keras.Model) -> keras.Model:
    """The model itself, or a float32 copy if any part of it computes in half precision or in float64."""
    dtypes = [layer.compute_dtype for _, layer in layers_by_path(model)]
    if not {*dtypes, *(str(tensor.dtype) for tensor in model.inputs)} & {*CONVERTED}:
        return model

    try:
        copy = copied(model, _float32_config)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            "Exporting a model in a precision other than float32 requires layers that can be copied. "
            f"Received: {model.name!r} ({str(error).strip().splitlines()[0]})"
        ) from error
    copy_weights(model, copy)
    _check_copy(model, copy)
    return copy


def _float32_config(config: Any) -> Any:
    """A layer's configuration with every dtype in it, also those of inner layers, as float32."""
    if isinstance(config, list | tuple):
        return type(config)(_float32_config(value) for value in config)
    if not isinstance(config, dict):
        return config
    result = {key: _float32_config(value) for key, value in config.items()}
    dtype = config.get("dtype")
    name = dtype["config"].get("name") if isinstance(dtype, dict) and "config" in dtype else dtype
    if isinstance(name, str) and name.removeprefix("mixed_") in CONVERTED:
        result["dtype"] = "float32"
    return result


def _check_copy(model: keras.Model, copy: keras.Model) -> None:
    # Files are compared with the copy, so the copy itself must be right, as far as half precision can show.
    tensors = tensors_of([str(i) for i in range(len(model.inputs))], model.inputs)
    batch = [keras.ops.convert_to_tensor(column) for column in random_feeds(tensors, 2).values()]
    results = []
    for candidate in (model, copy):
        structure = candidate.inputs[0] if isinstance(candidate, keras.Sequential) else candidate.input
        outputs = keras.tree.flatten(candidate(keras.tree.pack_sequence_as(structure, batch), training=False))
        results.append([keras.ops.convert_to_numpy(keras.ops.cast(output, "float64")) for output in outputs])
    for expected, actual in zip(*results, strict=True):
        if np.abs(actual - expected).max() > COPY_TOLERANCE * max(np.abs(expected).max(), 1e-6):
            raise ExportError(f"Exporting {model.name} failed: its float32 copy does not compute the same outputs.")
