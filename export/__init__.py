"""Keras models to files for servers, phones and boards, verified in the runtime that will run them.

from keras_se.export import to_tflite

artifact = to_tflite(model, "model.tflite", quantize="int8", calibration_data=images)
artifact.parity.cosine, artifact.size, artifact.predict(images)
"""

from keras_se.export.artifact import Artifact, verify
from keras_se.export.benchmark.benchmark import Benchmark, benchmark
from keras_se.export.data.image_folder import Images
from keras_se.export.errors import ExportError
from keras_se.export.export import DEFAULT_FORMATS, export
from keras_se.export.formats import FORMATS, Format
from keras_se.export.metadata import read_metadata
from keras_se.export.microcontroller.convert import to_microcontroller
from keras_se.export.modes import TOLERANCES
from keras_se.export.onnx.convert import to_onnx
from keras_se.export.report.write import write_report
from keras_se.export.saved_model.convert import to_saved_model
from keras_se.export.tflite.convert import to_tflite
from keras_se.export.tflite.layer_errors import LayerErrors, layer_errors
from keras_se.export.verification.parity import Parity

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "TOLERANCES",
    "Artifact",
    "Benchmark",
    "ExportError",
    "Format",
    "Images",
    "LayerErrors",
    "Parity",
    "benchmark",
    "export",
    "layer_errors",
    "read_metadata",
    "to_microcontroller",
    "to_onnx",
    "to_saved_model",
    "to_tflite",
    "verify",
    "write_report",
]
