"""Refuses models that a mode of TFLite does not support, before anything is converted."""

from typing import Any

import keras
import numpy as np

from keras_se.export.errors import ExportError
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.modes import MODES
from keras_se.graph.walk import layers_by_path
from keras_se.layers import Detections

INSTEAD = "Use quantize='int8'."
VOLUMES = (keras.layers.Conv3D, keras.layers.Conv3DTranspose)


def refuse_mode(model: InferenceModel, quantize: str | None) -> None:
    """Raises a `ValueError` for a model that a mode does not support.

    TensorFlow's calibrator crashes on loops, such as recurrent layers, and LiteRT's quantizer does not support them.
    With 16-bit activations, TensorFlow supports neither integer inputs, nor 3-D convolutions, nor `TOPK_V2`.
    """
    mode = MODES[quantize]
    if not mode.calibrated:
        return
    for path, layer in layers_by_path(model.model):
        received = f"Received: the layer {path!r}, a {type(layer).__name__}"
        if isinstance(layer, keras.layers.RNN) and not layer.unroll:
            raise ValueError(
                f"quantize={quantize!r} does not support recurrent layers that loop. {received} with unroll=False. "
                "Build it with unroll=True, for a known number of steps."
            )
        if mode.activation_bits == 16 and isinstance(layer, VOLUMES):
            raise ValueError(f"quantize={quantize!r} does not support 3-D convolutions. {received}. {INSTEAD}")
        if mode.activation_bits == 16 and isinstance(layer, Detections):
            raise ValueError(
                f"quantize={quantize!r} does not support the outputs of with_detections. {received}. "
                "Use quantize='int8', or export the detector without with_detections."
            )
    for tensor in model.inputs:
        if mode.activation_bits == 16 and np.dtype(tensor.dtype).kind != "f":
            raise ValueError(
                f"quantize={quantize!r} requires float inputs. Received: the input {tensor.name!r} of {tensor.dtype}. "
                f"{INSTEAD}"
            )


def refuse_loops(function: Any, quantize: str | None) -> None:
    """Raises an `ExportError` for a loop in a traced model."""
    for operation in function.graph.get_operations():
        if operation.type in ("While", "StatelessWhile"):
            raise ExportError(
                f"quantize={quantize!r} does not support loops: TensorFlow's calibrator crashes on them. "
                f"Unroll {operation.name}."
            )
