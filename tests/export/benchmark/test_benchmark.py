"""Benchmarks: figures of every format, profiles that add up, and errors for bad files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from keras_se.export import Artifact, benchmark, export
from keras_se.export.inspect import inspect
from keras_se.export.probes import sandbox
from keras_se.export.probes.inputs import random_values
from keras_se.export.probes.sandbox import RefusedError

FORMATS = ("tflite", "onnx", "saved_model")
QUICK = {"threads": 1, "rounds": 4, "warm_up": 1}


@pytest.fixture(scope="module")
def found(exported: Callable[..., Artifact]):
    """A file of each format, in turn."""
    paths = [exported("se_resnet", name).path for name in FORMATS]
    return dict(zip(FORMATS, benchmark(paths, **QUICK), strict=True))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_figures(found, format: str) -> None:
    one = found[format]
    assert (one.format, one.threads, len(one.seconds)) == (format, 1, 4)
    assert list(one.inputs.values()) == [(1, 16, 16, 3)]
    assert 0 < one.latency.low <= one.latency.median <= one.latency.high <= one.latency.p90 < 10
    assert one.memory > one.size / 2  # the file's weights are in it
    assert json.loads(json.dumps(one.to_dict()))["latency"]["runs"] == 4


def test_tflite_profile_has_the_operations(found) -> None:
    """By LiteRT's own profiler, which tells what its delegate runs."""
    profile = {operation.kind: operation for operation in found["tflite"].profile}
    layers = [operation.kind for operation in inspect(found["tflite"].path).operations]
    means = sum(operation.count for kind, operation in profile.items() if kind.startswith("Mean"))
    assert means == layers.count("MEAN")
    gates = sum(operation.count for kind, operation in profile.items() if kind.startswith("Sigmoid"))
    assert gates == layers.count("LOGISTIC") == 2
    assert sum(operation.seconds for operation in profile.values()) <= max(found["tflite"].seconds) * 3


def test_onnx_profile_has_the_operations(found) -> None:
    profile = found["onnx"].profile
    assert [one.seconds for one in profile] == sorted((one.seconds for one in profile), reverse=True)
    assert sum(one.count for one in profile if one.kind in ("Conv", "FusedConv")) >= 5
    assert found["saved_model"].profile is None


def test_memory_grows_with_the_weights(tmp_path: Path) -> None:
    """A product with 64 MB of weights takes at least these."""
    path = tmp_path / "large.onnx"
    weights = onnx.numpy_helper.from_array(np.ones((4000, 4000), "float32"), "weights")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [None, 4000]) for name in ("x", "y")]
    node = onnx.helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = onnx.helper.make_graph([node], "large", ends[:1], ends[1:], [weights])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)
    (one,) = benchmark(path, batch_size=3, profile=False, **QUICK)
    assert one.memory > 64e6
    assert one.inputs == {"x": (3, 4000)}
    assert one.profile is None


def test_int8_inputs_are_benchmarked(exported: Callable[..., Artifact]) -> None:
    (one,) = benchmark(exported("se_resnet", "tflite", "int8", io_dtype="int8").path, memory=False, **QUICK)
    assert one.memory is None
    assert any("Convolution" in operation.kind for operation in one.profile)


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_embedding_indices_are_in_range(format: str, tmp_path: Path) -> None:
    """Numbers beyond a small table would be refused by its runtime."""
    words = keras.Input((6,), dtype="int32", name="words")
    y = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(2, 4)(words))
    (artifact,) = export(keras.Model(words, y, name="table"), tmp_path, format)
    (one,) = benchmark(artifact.path, memory=False, profile=False, **QUICK)
    assert list(one.inputs.values()) == [(1, 6)]


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255), ("int32", 0, 1), ("int64", 0, 1)]
)
def test_random_integers_are_in_range(dtype: str, low: int, high: int) -> None:
    numbers = random_values((5000,), dtype)
    assert numbers.dtype == dtype
    assert (numbers.min(), numbers.max()) == (low, high)


@keras.saving.register_keras_serializable("benchmark")
class Thrice(keras.layers.Layer):
    def call(self, x):
        return keras.ops.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, keras.ops.tanh(y + 1)), (0, x))[1]

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_profile_counts_every_iteration_of_a_loop(format: str, tmp_path: Path) -> None:
    image = keras.Input((6,))
    model = keras.Model(image, keras.layers.Dense(2)(Thrice()(keras.layers.Dense(5)(image))), name="loop")
    (artifact,) = export(model, tmp_path, format)
    (one,) = benchmark(artifact.path, memory=False, **QUICK)
    assert one.notes == ()
    counts = {operation.kind.split(" ")[0].lower(): operation.count for operation in one.profile}
    assert counts["tanh"] == 3
    assert counts["fully" if format == "tflite" else "matmul"] == 2
    assert not {"loop", "while"} & set(counts)


def test_unnamed_nodes_are_counted_apart(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("Tanh", [one], [other]) for one, other in ("xa", "ay")]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:])
    path = tmp_path / "unnamed.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)
    (one,) = benchmark(path, memory=False, **QUICK)
    assert [(operation.kind, operation.count) for operation in one.profile] == [("Tanh", 2)]


def test_profilers_have_a_time_limit(exported: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["keras_se.export.benchmark.benchmark"]
    monkeypatch.setattr(module, "PROFILER_TIMEOUT", 0.01)
    monkeypatch.setattr(module, "PROFILED", 0)
    (one,) = benchmark([exported("se_resnet", "onnx").path], memory=False, **QUICK)
    assert one.profile is None
    assert "profiler took longer than" in one.notes[0]


def test_failing_profiler_becomes_a_note(exported: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch) -> None:
    real = sandbox.probe

    def without_profiler(program, path, timeout):
        if program == "tflite_profiler.py":
            raise RefusedError("crashed (SIGSEGV)")
        return real(program, path, timeout)

    monkeypatch.setattr(sys.modules["keras_se.export.benchmark.benchmark"], "probe", without_profiler)
    (one,) = benchmark([exported("se_resnet", "tflite").path], memory=False, **QUICK)
    assert one.profile is None
    assert "profiler crashed (SIGSEGV)" in one.notes[0]


MISTAKES = [
    ({"files": []}, "files must name a file"),
    ({"threads": 0}, "threads must be a positive integer"),
    ({"rounds": 0}, "rounds must be a positive integer"),
    ({"warm_up": -1}, "warm_up must be an integer of 0 or more"),
    ({"warm_up": True}, "warm_up must be an integer of 0 or more"),
    ({"files": 5}, "files must be a path, or a list of paths. Received: files=5"),
    ({"files": [b"x.tflite"]}, r"files must be a path, or a list of paths. Received: files=\[b'x.tflite'\]"),
    ({"batch_size": 1.5}, "batch_size must be a positive integer"),
    ({"size": 0}, "size must be a positive integer"),
    ({"files": "missing.tflite"}, r"The file must be one of .*missing.tflite"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[str(case[0]) for case in MISTAKES])
def test_wrong_arguments_are_refused(exported: Callable[..., Artifact], arguments: dict, sentence: str) -> None:
    files = arguments.get("files", exported("se_resnet", "tflite").path)
    with pytest.raises(ValueError, match=f"{sentence}.*Received:" if "files" not in arguments else sentence):
        benchmark(files, **{key: value for key, value in arguments.items() if key != "files"})


def test_error_names_the_bad_file(exported: Callable[..., Artifact], tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"FILE must run in ONNX Runtime. Received: .*bad.onnx"):
        benchmark([exported("se_resnet", "onnx").path, bad], memory=False, **QUICK)


def test_microcontroller_folder_is_refused(exported: Callable[..., Artifact]) -> None:
    with pytest.raises(ValueError, match="runs there"):
        benchmark(exported("se_resnet", "microcontroller").path)


def test_probes_shadow_no_standard_module() -> None:
    """Their folder comes first where their processes look for modules."""
    assert not {path.stem for path in sandbox.PROBES.glob("*.py")} & sys.stdlib_module_names
