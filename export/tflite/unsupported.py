"""What TFLite files of some modes cannot hold: known before anything is converted, and told in a sentence."""

from typing import Any

import keras
import numpy as np

from keras_se.export.errors import ExportError
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.modes import MODES
from keras_se.graph.walk import layers_by_path
from keras_se.layers import Detections

VOLUMES = (keras.layers.Conv3D, keras.layers.Conv3DTranspose)


def refuse_mode(model: InferenceModel, quantize: str | None) -> None:
    """Raises a `ValueError` for what a mode cannot have.

    TensorFlow's calibrator crashes on loops, such as recurrent layers are, and LiteRT's quantizer has none. With 16-bit
    activations, TensorFlow has no inputs of whole numbers, no convolutions of volumes, and no choice of the best.
    """
    mode = MODES[quantize]
    if not mode.calibrated:
        return
    for path, layer in layers_by_path(model.model):
        received = f"Received: the layer {path!r}, a {type(layer).__name__}"
        if isinstance(layer, keras.layers.RNN) and not layer.unroll:
            raise ValueError(
                f"quantize={quantize!r} goes with recurrent layers that do not loop: build them with unroll=True, for "
                f"a known number of steps. {received} with unroll=False"
            )
        if mode.activation_bits == 16 and isinstance(layer, VOLUMES):
            raise ValueError(f"quantize='int16x8' goes with convolutions of images and of sequences. {received}")
        if mode.activation_bits == 16 and isinstance(layer, Detections):
            raise ValueError(f"quantize='int16x8' goes with detectors without `with_detections`. {received}")
    for tensor in model.inputs:
        if mode.activation_bits == 16 and np.dtype(tensor.dtype).kind != "f":
            raise ValueError(
                f"quantize='int16x8' goes with inputs of floats. Received: the input {tensor.name!r} of {tensor.dtype}"
            )


def refuse_loops(function: Any, quantize: str | None) -> None:
    """Raises an `ExportError` for any other loop in a traced model."""
    for operation in function.graph.get_operations():
        if operation.type in ("While", "StatelessWhile"):
            raise ExportError(
                f"quantize={quantize!r} cannot be calibrated where the model loops: {operation.name} must be unrolled."
            )
