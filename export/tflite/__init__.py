"""The TFLite format. May import the frontend, passes, data, verification and `saved_model`."""

from pathlib import Path

from keras_se.export.interfaces import Format, any_mode


def _recognises(path: Path) -> bool:
    return path.suffix == ".tflite" and path.is_file()  # opening a FIFO would wait


FORMAT = Format(
    name="tflite",
    package=__name__,
    suffix=".tflite",
    runtime="LiteRT",
    runtime_module="ai_edge_litert.interpreter",
    extra="tflite",
    used_for="phones, boards, microcontrollers",
    recognises=_recognises,
    packages=("keras", "tensorflow", "ai-edge-litert"),
    fixed_sizes=True,
    intermediate_tensors=True,
    options={
        "io_dtype": lambda mode, value: value in mode.io_dtypes,
        "input_shape": any_mode,
        **dict.fromkeys(("keep", "keep_as"), lambda mode, value: mode.keeps_layers),
    },
    call_program="tflite_call.py",
    profiler="tflite_profiler.py",
    colours=("#2c74c9", "#78aef2"),
    marker="o",
)
