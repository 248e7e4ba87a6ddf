"""Files run with nothing of keras_se: the runtimes' own interfaces, and arithmetic written again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType

# A program that loads SavedModels and runs them as a server would: TensorFlow alone.
SERVER = """
import sys
sys.modules["keras"] = sys.modules["keras_se"] = None  # importing them fails
import numpy as np
import tensorflow as tf

for folder in sys.argv[1:]:
    feeds = {name: tf.constant(column) for name, column in np.load(folder + "/feeds.npz").items()}
    outputs = tf.saved_model.load(folder + "/model").signatures["serving_default"](**feeds)
    np.savez(folder + "/outputs.npz", **{name: output.numpy() for name, output in outputs.items()})
"""


def interpreter(path: Path, delegate: bool = True) -> Interpreter:
    """LiteRT with the file loaded; without the delegate every tensor can be read."""
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    loaded = Interpreter(
        model_path=str(path), experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=not delegate
    )
    loaded.allocate_tensors()
    return loaded


def run_tflite(path: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a file of batch 1 sample by sample, with real values quantized on the way in and out."""
    signature = interpreter(path).get_signature_runner("serving_default")
    inputs, outputs = signature.get_input_details(), signature.get_output_details()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
    for i in range(len(next(iter(feeds.values())))):
        batch = {name: to_integers(column[i : i + 1], inputs[name]) for name, column in feeds.items()}
        for name, output in signature(**batch).items():
            rows[name].append(to_real(output, outputs[name]))
    return {name: np.concatenate(found) for name, found in rows.items()}


def to_integers(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if detail["dtype"] is np.float32:
        return values
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return np.rint(values / scale + zero_point).clip(limits.min, limits.max).astype(detail["dtype"])


def to_real(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if detail["dtype"] is np.float32:
        return values
    scale, zero_point = detail["quantization"]
    return (values.astype("float64") - zero_point) * scale


def run_onnx(path: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def run_openvino(path: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import openvino  # the extra `reference` brings it

    # In the file's own arithmetic: on some processors it would take 16-bit floats otherwise.
    network = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = network(feeds)
    return {output.get_any_name(): outputs[output] for output in network.outputs}


def run_saved_models(folders: list[Path]) -> list[dict[str, np.ndarray]]:
    """Runs `<folder>/model` on `<folder>/feeds.npz`, for each folder, in one process without Keras."""
    subprocess.run([sys.executable, "-c", SERVER, *map(str, folders)], check=True, capture_output=True, text=True)
    return [dict(np.load(folder / "outputs.npz")) for folder in folders]


def constants(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a TFLite file that are stored in it, by name."""
    loaded = interpreter(path, delegate=False)
    content = path.read_bytes()
    # The memory of what operations make can hold bytes of a file that was open before.
    made = {index for operation in loaded._get_ops_details() for index in operation["outputs"]}
    found = {}
    for detail in loaded.get_tensor_details():
        if detail["index"] in made:
            continue
        try:
            values = loaded.get_tensor(detail["index"])
        except ValueError:  # made while running, and not there yet
            continue
        stored = values.tobytes()
        if values.size > 3 and any(stored) and stored in content:
            found[detail["name"]] = values
    return found
