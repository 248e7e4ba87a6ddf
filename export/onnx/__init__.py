"""The ONNX format. May import the frontend, passes, data and verification."""

from pathlib import Path

from keras_se.export.interfaces import Format, any_mode


def _recognises(path: Path) -> bool:
    return path.suffix == ".onnx" and path.is_file()  # opening a FIFO would wait


FORMAT = Format(
    name="onnx",
    package=__name__,
    suffix=".onnx",
    runtime="ONNX Runtime",
    runtime_module="onnxruntime",
    extra="onnx",
    used_for="servers, desktops, browsers, accelerators",
    recognises=_recognises,
    packages=("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"),
    options={"opset": any_mode, "layout": any_mode},
    call_program="onnx_call.py",
    profiler="onnx_profiler.py",
    colours=("#1a8a70", "#58c9ab"),
    marker="D",
)
