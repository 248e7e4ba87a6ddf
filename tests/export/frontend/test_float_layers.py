"""What is in floats in 8-bit files, too: boxes of all sizes, of which 8 bits would make nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from onnx import helper

from keras_se.export import Artifact, ExportError, to_onnx, to_tflite
from keras_se.export.frontend.float_layers import paths_in_floats
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.onnx.quantize import float_nodes
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.quantize import quantized_file
from keras_se.layers import Detections, LocationBoxes
from tests.support.numpy_networks import graphs_only

pytestmark = graphs_only
MAPS, LOCATIONS, CLASSES, DETECTIONS = [(4, 4)], 16, 3, 8
# Of the sides of the image.
SMALLEST, LARGEST = 0.0005, 0.7
WAYS: dict[str, tuple[Callable[..., Artifact], dict[str, Any]]] = {
    "int8.tflite": (to_tflite, {"quantize": "int8"}),
    "selective.tflite": (to_tflite, {"quantize": "selective", "keep": "boxes"}),
    "selective16.tflite": (to_tflite, {"quantize": "selective", "keep": "boxes", "keep_as": "int16"}),
    "int8.onnx": (to_onnx, {"quantize": "int8"}),
}


@pytest.fixture(scope="module")
def decoder() -> keras.Model:
    shapes = {"distances": 4, "logits": CLASSES, "quality": 1}
    distances, logits, quality = inputs = [keras.Input((LOCATIONS, n), name=name) for name, n in shapes.items()]
    boxes = LocationBoxes(MAPS, name="boxes")(distances)
    inner = keras.Model(inputs, Detections(DETECTIONS, (64, 64), name="detections")([boxes, logits, quality]))
    return keras.Model(inputs, inner(inputs))


def feeds(count: int, seed: int) -> dict[str, np.ndarray]:
    """Boxes from less than a pixel to most of the image, in an order of scores that rounding cannot change."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(*np.log([SMALLEST * 4, LARGEST * 4]), (count, LOCATIONS, 1)))
    logits = rng.uniform(-9, -8, (count, LOCATIONS, CLASSES))
    best = rng.permuted(np.tile(np.linspace(-3, 3, LOCATIONS), (count, 1)), axis=1)
    np.put_along_axis(logits, rng.integers(0, CLASSES, (count, LOCATIONS, 1)), best[..., None], axis=2)
    return {
        "distances": (sizes * rng.uniform(0.4, 0.5, (count, LOCATIONS, 4))).astype("float32"),
        "logits": logits.astype("float32"),
        "quality": np.full((count, LOCATIONS, 1), 2, "float32"),
    }


@pytest.mark.parametrize("way", WAYS)
def test_small_boxes_are_boxes(decoder: keras.Model, way: str, tmp_path: Path) -> None:
    """Their areas are far less than a 255th of the largest: LiteRT failed at the division by one that is 0."""
    to_file, options = WAYS[way]
    artifact = to_file(decoder, tmp_path / way, calibration_data=feeds(100, seed=0), **options)
    given = feeds(20, seed=1)
    found, expected = artifact.predict(given), decoder.predict(given, verbose=0)
    step = LARGEST * 4 / 2 / 255  # of what the file reads, as locations have it; a location is 16 pixels
    np.testing.assert_allclose(found["scores"][:, :4], expected["scores"][:, :4], atol=0.03)
    near = np.abs(found["boxes"] - expected["boxes"]).max(axis=-1) <= 16 * step
    assert near[:, :4].mean() > 0.95  # of neighbours that overlap, a step can decide which one is left


@pytest.mark.parametrize("way", [name for name in WAYS if name.endswith(".tflite")])
def test_which_operations_are_in_floats(decoder: keras.Model, way: str, tmp_path: Path) -> None:
    to_file, options = WAYS[way]
    artifact = to_file(decoder, tmp_path / way, calibration_data=feeds(100, seed=0), **options)
    graph = read_graph(artifact.path.read_bytes())
    types = {(one.name, graph.tensors[one.outputs[0]].type) for one in graph.operations}
    assert {("DIV", "FLOAT32"), ("MAXIMUM", "FLOAT32"), ("SUB", "FLOAT32"), ("MUL", "FLOAT32")} <= types
    assert not {name for name, kind in types if kind == "INT16"}
    assert ("LOGISTIC", "FLOAT32") in types
    assert {name for name, kind in types if kind == "INT8"} <= {"QUANTIZE", "TOPK_V2", "RESHAPE"}
    assert not [note for note in artifact.notes if "no 16-bit form" in note]


def test_weights_of_a_layer_of_the_same_name_are_in_8_bits(decoder: keras.Model) -> None:
    """ONNX nodes have the name of a layer, not the path: one in another model of the graph can have it, too."""
    kinds = ("Conv", "Mul", "MatMul", "Gemm", "Add")
    nodes = [helper.make_node(kind, ["x"], [kind], f"{name}/{kind}") for name in ("boxes", "other") for kind in kinds]
    model = helper.make_model(helper.make_graph(nodes, "g", [], []))
    assert float_nodes(model, InferenceModel(decoder)) == ["boxes/Mul", "boxes/Add"]


def test_a_file_without_these_layers_is_an_error(decoder: keras.Model, tmp_path: Path) -> None:
    """Quantized without them, it would divide by areas of 0."""
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    content = to_tflite(other, tmp_path / "other.tflite").path.read_bytes()
    with pytest.raises(ExportError, match=r"^None of the layers that compute in floats is in the file: .*/boxes, "):
        quantized_file(content, InferenceModel(decoder), lambda *_, **__: pytest.fail("it was quantized"))


def test_paths(decoder: keras.Model) -> None:
    inner = next(layer.name for layer in decoder.layers if isinstance(layer, keras.Model))
    assert paths_in_floats(decoder) == {f"{inner}/boxes", f"{inner}/detections"}
    assert paths_in_floats(keras.Sequential([keras.layers.Dense(1)])) == frozenset()


@pytest.mark.parametrize("way", ["int8.tflite", "selective.tflite"])
@pytest.mark.parametrize("io_dtype", ["int8", "uint8"])
def test_ends_in_8_bits(decoder: keras.Model, io_dtype: str, way: str, tmp_path: Path) -> None:
    """Inputs are of the type that is asked for; boxes that are computed in floats stay floats."""
    path, data = tmp_path / "model.tflite", feeds(100, seed=0)
    to_tflite(decoder, path, calibration_data=data, io_dtype=io_dtype, **WAYS[way][1])
    graph = read_graph(path.read_bytes())
    assert {tensor.type for tensor in graph.input_tensors} == {io_dtype.upper()}
    assert {tensor.name: tensor.type for tensor in graph.output_tensors} == {
        **{"boxes": "FLOAT32", "scores": "FLOAT32"},
        "classes": "INT32",
    }
