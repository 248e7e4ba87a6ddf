"""TensorFlow's converter: the one file that knows it."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from keras_se.export.errors import require
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.saved_model.convert import save
from keras_se.export.saved_model.runner import SIGNATURE
from keras_se.export.tflite.unsupported import refuse_loops


def float_file(model: InferenceModel, shapes: Mapping[str, tuple], batch_size: int) -> bytes:
    """The bytes of a float file with a fixed batch; `shapes` are those of the inputs, without the batch."""
    with converter_of(model, shapes, batch_size) as converter:
        return bytes(converter.convert())


@contextmanager
def converter_of(
    model: InferenceModel, shapes: Mapping[str, tuple], batch_size: int, calibrated: str | None = None
) -> Iterator[Any]:
    """A `TFLiteConverter` for built-in operations, which is quiet while it works.

    `calibrated` is the mode if it needs calibration, which does not support loops.
    """
    tf = require("tensorflow", "tflite")
    with tempfile.TemporaryDirectory() as folder, quiet():
        function = save(model, Path(folder), batch_size, shapes)
        if calibrated is not None:
            refuse_loops(function, calibrated)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        yield converter


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the converter's output and its harmless warnings."""
    with (
        open(os.devnull, "w") as nowhere,
        warnings.catch_warnings(),
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),  # progress bars
    ):
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected", UserWarning)
        warnings.filterwarnings("ignore", r"(?s).*tf\.lite\.Interpreter is deprecated", UserWarning)
        yield
