"""Names that TensorFlow takes for no scope, or no argument: every format takes them."""

import re
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export import DEFAULT_FORMATS, FORMATS, layer_errors, to_onnx, to_tflite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.scopes import scope_name
from keras_se.export.inspect import inspect

DATA = np.random.default_rng(0).normal(size=(12, 8, 8, 3)).astype("float32")


def named(image: str = "image", conv: str = "conv", model: str = "model") -> keras.Model:
    x = keras.Input((8, 8, 3), name=image)
    y = SqueezeExcite(2, name=f"{conv} se")(layers.Conv2D(8, 3, name=conv)(x))
    return keras.Model(x, layers.GlobalAveragePooling2D(name="pool")(y), name=model)


NAMES = [
    {"model": "my größe(1)", "conv": "my conv ü", "image": "class"},
    {"model": "_m", "conv": "_c", "image": "_bild ü"},
    {"image": "self"},
]


@pytest.mark.parametrize("format", DEFAULT_FORMATS)
@pytest.mark.parametrize("names", NAMES, ids=lambda names: names["image"])
def test_a_name_is_no_hindrance(names: dict[str, str], format: str, tmp_path: Path) -> None:
    model = named(**names)
    before = [layer.name for layer in model.layers]
    artifact = FORMATS[format].convert(model, tmp_path / f"m{FORMATS[format].suffix}")
    expected = keras.ops.convert_to_numpy(model(DATA))
    np.testing.assert_allclose(artifact.predict(DATA), expected, rtol=0, atol=1e-5)
    assert [layer.name for layer in model.layers] == before


@pytest.mark.parametrize(
    ("name", "expected"), [("class", "class_"), ("self", "self_"), ("classes", "classes"), ("größe", "gr__e")]
)
def test_inputs_have_names_for_arguments(name: str, expected: str) -> None:
    assert [tensor.name for tensor in InferenceModel(named(image=name)).inputs] == [expected]


def test_layers_are_found_by_their_own_names(tmp_path: Path) -> None:
    model = named(conv="my conv", model="my model")
    mode = {"quantize": "selective", "keep": "my conv se", "calibration_data": DATA}
    artifact = to_tflite(model, tmp_path / "m.tflite", **mode)
    assert artifact.notes == ()
    assert {"my conv", "my conv se"} <= {row.layer for row in layer_errors(artifact.path, model, DATA).rows}
    nodes = onnx.load(to_onnx(model, tmp_path / "m.onnx").path).graph.node
    conv, se = scope_name("my conv"), scope_name("my conv se")
    assert {f"{conv}/Conv", f"{se}/Mul"} <= {node.name for node in nodes}


@pytest.mark.parametrize("name", ["conv", "stage1_se", "a.b-c", "1st"])
def test_what_tensorflow_takes_stays(name: str) -> None:
    assert scope_name(name) == name


COLLIDING = [("c 1", "c_1"), ("卷积", "池化"), ("_c", "layer_c")]


@pytest.mark.parametrize(("first", "second"), COLLIDING)
def test_no_two_layers_have_one_scope(first: str, second: str) -> None:
    assert scope_name(first) != scope_name(second)
    assert scope_name(scope_name(first)) == scope_name(first)


@pytest.mark.parametrize(("first", "second"), COLLIDING)
def test_layers_of_similar_names_are_told_apart(first: str, second: str, tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    y = layers.Conv2D(8, 3, name=second)(layers.Conv2D(4, 1, name=first)(image))
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(y), name="m")
    for kept, kernel in ((first, [4, 1, 1, 3]), (second, [8, 3, 3, 4])):
        mode = {"quantize": "selective", "keep": re.escape(kept), "calibration_data": DATA}
        artifact = to_tflite(model, tmp_path / "m.tflite", overwrite=True, **mode)
        assert artifact.notes == ()
        kernels = [op.inputs[1] for op in inspect(artifact.path).operations if op.kind == "CONV_2D"]
        assert [list(kernel.shape) for kernel in kernels if kernel.dtype == "float32"] == [kernel]
        assert {first, second} <= {row.layer for row in layer_errors(artifact.path, model, DATA).rows}
