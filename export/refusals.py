"""Loops, such as recurrent layers are: TensorFlow's calibrator crashes on them, and LiteRT's quantizer has none."""

from typing import Any

import keras

from keras_se.export.errors import ExportError
from keras_se.export.formats import CALIBRATED
from keras_se.export.layer_names import layers_by_path


def refuse_loops(model: keras.Model, quantize: str | None) -> None:
    """Raises a `ValueError` for a recurrent layer that loops over its steps, with modes that cannot calibrate it."""
    if quantize not in CALIBRATED:
        return
    for path, layer in layers_by_path(model):
        if isinstance(layer, keras.layers.RNN) and not layer.unroll:
            raise ValueError(
                f"quantize={quantize!r} goes with recurrent layers that do not loop: build them with unroll=True, for "
                f"a known number of steps. Received: the layer {path!r}, a {type(layer).__name__} with unroll=False"
            )


def refuse_while(function: Any, quantize: str | None) -> None:
    """Raises an `ExportError` for any other loop in a traced model."""
    for operation in function.graph.get_operations():
        if operation.type in ("While", "StatelessWhile"):
            raise ExportError(
                f"quantize={quantize!r} cannot be calibrated where the model loops: {operation.name} must be unrolled."
            )
