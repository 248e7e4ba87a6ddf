"""What is put together in ONNX graphs: hard activations, and paddings with convolutions and poolings."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from keras_se.export import to_onnx
from keras_se.export.onnx.activations import hard_activations
from keras_se.export.onnx.passes import paddings_to_windows
from keras_se.models import SEMobileNet, SEMobileNetV3Small, SEResNet
from tests.support.cases import case
from tests.support.runtimes import run_onnx

SHAPE = [1, 2, 6, 6]


def model_of(
    nodes: Sequence[Any],
    constants: dict[str, np.ndarray],
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    shape: Sequence[int] | None = SHAPE,
) -> Any:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", inputs, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def operations(model: Any) -> dict[str, int]:
    return dict(collections.Counter(node.op_type for node in model.graph.node))


def run(model: Any, x: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})


def assert_same(model: Any, rewrite: Callable[[Any], None], shape: Sequence[int] = SHAPE) -> None:
    x = 5 * np.random.default_rng(0).standard_normal(shape).astype("float32")
    expected = run(model, x)
    rewrite(model)
    for found, wanted in zip(run(model, x), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


# Hard activations

CONSTANTS: dict[str, Any] = {"three": 3.0, "zero": 0.0, "six": 6.0, "sixth": 1 / 6}


def hard(turned: bool = False, swish: bool = True, **constants: float) -> Any:
    """The nodes that TensorFlow's `hard_sigmoid` and `hard_silu` become; `turned` has operands the other way."""

    def operands(*names: str) -> list[str]:
        return list(reversed(names)) if turned else list(names)

    nodes = [
        helper.make_node("Add", operands("x", "three"), ["a"]),
        helper.make_node("Clip", ["a", "zero", "six"], ["b"]),
        helper.make_node("Mul", operands("b", "sixth"), ["c" if swish else "y"]),
    ]
    if swish:
        nodes.append(helper.make_node("Mul", operands("x", "c"), ["y"]))
    values = {name: np.array(value, "float32") for name, value in (CONSTANTS | constants).items()}
    values["three"] = values["three"].reshape(1, 1, 1, 1)
    return nodes, values


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("swish", "opset", "expected"),
    [
        (True, 17, {"HardSwish": 1}),
        (False, 17, {"HardSigmoid": 1}),
        (True, 13, {"HardSigmoid": 1, "Mul": 1}),  # before ONNX had HardSwish
    ],
)
def test_hard_activations(turned: bool, swish: bool, opset: int, expected: dict[str, int]) -> None:
    model = model_of(*hard(turned, swish), opset=opset)
    assert_same(model, hard_activations)
    assert operations(model) == expected
    assert not model.graph.initializer or opset == 13


@pytest.mark.parametrize("constants", [{"three": 2.5}, {"zero": -1.0}, {"six": 5.0}, {"sixth": 0.2}])
def test_other_constants_are_something_else(constants: dict[str, float]) -> None:
    model = model_of(*hard(**constants))
    hard_activations(model)
    assert operations(model) == {"Add": 1, "Clip": 1, "Mul": 2}


@pytest.mark.parametrize("swish", [True, False])
@pytest.mark.parametrize("larger", ["three", "sixth"])
def test_a_constant_of_more_axes_gives_the_result_more(larger: str, swish: bool) -> None:
    """Of a matrix plus or times (1, 1, 1, 1), of which ONNX's activations would make a matrix."""
    nodes, constants = hard(swish=swish)
    for name, rank in (("three", 1), ("sixth", 2), (larger, 4)):
        constants[name] = constants[name].reshape((1,) * rank)
    model = model_of(nodes, constants, shape=[6, 4])
    before = operations(model)
    assert_same(model, hard_activations, [6, 4])
    assert operations(model) == before
    constants[larger] = constants[larger].reshape(1, 1)
    model = model_of(nodes, constants, shape=[6, 4])
    assert_same(model, hard_activations, [6, 4])
    assert operations(model) == ({"HardSwish": 1} if swish else {"HardSigmoid": 1})


def test_of_a_tensor_of_unknown_rank_nothing_is_made() -> None:
    model = model_of(*hard(), shape=None)
    assert_same(model, hard_activations, [6, 4])
    assert operations(model) == {"Add": 1, "Clip": 1, "Mul": 2}


@pytest.mark.parametrize("shown", ["a", "b", "c"])
def test_what_is_read_besides_stays(shown: str) -> None:
    """The parts are outputs, too: of them HardSigmoid is the most that can be made, and not of its own."""
    model = model_of(*hard(), outputs=("y", shown))
    assert_same(model, hard_activations)
    assert operations(model) == ({"HardSigmoid": 1, "Mul": 1} if shown == "c" else {"Add": 1, "Clip": 1, "Mul": 2})


def test_another_tensor_times_a_hard_sigmoid_is_a_gate() -> None:
    nodes, constants = hard()
    nodes.insert(0, helper.make_node("Neg", ["x"], ["z"]))
    nodes[-1].input[:] = ["z", "c"]
    model = model_of(nodes, constants)
    assert_same(model, hard_activations)
    assert operations(model) == {"Neg": 1, "HardSigmoid": 1, "Mul": 1}


def test_a_hard_sigmoid_of_other_slope_is_no_part_of_a_swish() -> None:
    nodes = [helper.make_node("HardSigmoid", ["x"], ["c"]), helper.make_node("Mul", ["x", "c"], ["y"])]
    model = model_of(nodes, {})
    hard_activations(model)
    assert operations(model) == {"HardSigmoid": 1, "Mul": 1}


@pytest.mark.parametrize("quantize", [None, case("float16", slow=True), "int8"])
def test_activations_of_a_network_are_fused(tmp_path: Any, quantize: str | None) -> None:
    model = SEMobileNetV3Small(input_shape=(32, 32, 3), alpha=0.25, classes=3, include_preprocessing=False)
    x = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    data = {"calibration_data": x} if quantize == "int8" else {}
    artifact = to_onnx(model, tmp_path / "model.onnx", quantize=quantize, **data)
    found = operations(onnx.load(artifact.path))
    blocks = sum("se_reduce" in v.path or v.path.endswith("reduce_kernel") for v in model.variables)
    if quantize != "int8":
        assert found["HardSigmoid"] == blocks == 9
        assert found["HardSwish"] == 19
    else:
        assert not {"HardSwish", "HardSigmoid"} & set(found)
    assert "Pad" not in found
    if quantize is None:
        plain = to_onnx(model, tmp_path / "plain.onnx", optimize=False)
        assert operations(onnx.load(plain.path))["Clip"] == 28
        ours, theirs = (run_onnx(path, {"image": x})["predictions"] for path in (artifact.path, plain.path))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


# Paddings


def padded(
    around: Sequence[int] = (0, 0, 1, 0, 0, 0, 2, 1),
    *,
    value: float | None = 0.0,
    mode: str = "constant",
    readers: Sequence[str] = ("Conv",),
    **attributes: Any,
) -> Any:
    """A padding, and what reads it."""
    named = ["x", "pads", *([] if value is None else ["value"])]
    nodes = [helper.make_node("Pad", named, ["p"], mode=mode)]
    names = [f"r{i}" for i in range(len(readers))]
    for kind, name in zip(readers, names, strict=True):
        given = ["p", "kernel"] if kind == "Conv" else ["p"]
        nodes.append(helper.make_node(kind, given, [name], **(attributes if kind == "Conv" else {})))
    kernel = np.random.default_rng(1).standard_normal((3, 2, 3, 3)).astype("float32")
    constants = {"pads": np.array(around, "int64"), "kernel": kernel}
    if value is not None:
        constants["value"] = np.array(value, "float32")
    return model_of(nodes, constants, names)


@settings(max_examples=20, deadline=None)
@given(
    space=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    own=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    stride=st.integers(1, 2),
    value=st.sampled_from([None, 0.0]),
    readers=st.integers(1, 2),
)
def test_paddings_go_into_convolutions(
    space: list[int], own: list[int], stride: int, value: float | None, readers: int
) -> None:
    top, left, bottom, right = space
    model = padded(
        (0, 0, top, left, 0, 0, bottom, right),
        value=value,
        readers=["Conv"] * readers,
        pads=own,
        strides=[stride, stride],
    )
    assert_same(model, paddings_to_windows)
    assert operations(model) == {"Conv": readers}


@pytest.mark.parametrize(
    "model",
    [
        padded(value=1.0),
        padded(mode="reflect"),
        padded(readers=("Conv", "Relu")),
        padded((0, 0, -1, 0, 0, 0, 2, 1)),
        padded((0, 0, 1, 0, 0, 0, 2, 1), auto_pad="SAME_UPPER"),
    ],
    ids=["ones", "reflected", "read besides", "cropped", "padded by itself"],
)
def test_other_paddings_stay(model: Any) -> None:
    assert_same(model, paddings_to_windows)
    assert operations(model)["Pad"] == 1


def pooled(
    around: Sequence[int] = (0, 0, 1, 1, 0, 0, 1, 1), *, before: str = "Relu", value: float = 0.0, **attributes: Any
) -> Any:
    """A padding of what some operation makes, and a pooling of it."""
    window = {"kernel_shape": [3, 3], "strides": [2, 2], **attributes}
    nodes = [
        helper.make_node(before, ["x"], ["r"]),
        helper.make_node("Pad", ["r", "pads", "value"], ["p"]),
        helper.make_node("MaxPool", ["p"], ["y"], **window),
    ]
    return model_of(nodes, {"pads": np.array(around, "int64"), "value": np.array(value, "float32")})


@settings(max_examples=20, deadline=None)
@given(
    space=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    stride=st.integers(1, 3),
)
def test_paddings_go_into_poolings(space: list[int], stride: int) -> None:
    top, left, bottom, right = space
    model = pooled((0, 0, top, left, 0, 0, bottom, right), strides=[stride, stride])
    assert_same(model, paddings_to_windows)
    assert operations(model) == {"Relu": 1, "MaxPool": 1}


@pytest.mark.parametrize(
    "model",
    [
        pooled(before="Neg"),
        pooled(value=1.0),
        pooled((0, 0, 3, 0, 0, 0, 0, 0)),
        pooled(pads=[2, 2, 0, 0]),
        pooled(ceil_mode=1),
        pooled(dilations=[2, 2]),
        pooled(auto_pad="SAME_UPPER"),
    ],
    ids=["negative", "ones", "windows of zeros", "of zeros by both", "rounded up", "dilated", "padded by itself"],
)
def test_other_paddings_of_poolings_stay(model: Any) -> None:
    assert_same(model, paddings_to_windows)
    assert operations(model)["Pad"] == 1


def test_a_padding_goes_into_all_that_read_it() -> None:
    model = pooled(pads=[1, 0, 0, 1])
    kernel = np.random.default_rng(1).standard_normal((3, 2, 3, 3)).astype("float32")
    model.graph.node.append(helper.make_node("Conv", ["p", "kernel"], ["z"]))
    model.graph.initializer.append(numpy_helper.from_array(kernel, "kernel"))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    assert_same(model, paddings_to_windows)
    assert operations(model) == {"Relu": 1, "MaxPool": 1, "Conv": 1}


def test_the_stem_of_a_residual_network_has_no_padding(tmp_path: Any) -> None:
    model = SEResNet((1,), block="basic", filters=(8,), r=2, input_shape=(32, 32, 3), classes=3)
    path = to_onnx(model, tmp_path / "model.onnx").path
    assert "Pad" not in operations(onnx.load(path))


def test_in_8_bits_no_padding_is_in_floats(tmp_path: Any) -> None:
    model = SEMobileNet(input_shape=(32, 32, 3), alpha=0.25, classes=3)
    x = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    path = to_onnx(model, tmp_path / "model.onnx", quantize="int8", calibration_data=x).path
    assert "Pad" not in operations(onnx.load(path))


def test_in_8_bits_activations_are_of_one_kind(tmp_path: Any) -> None:
    """ONNX Runtime computes in floats between signed and unsigned ones."""
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="first")(image)
    x = keras.layers.Add(name="add")([keras.layers.Conv2D(8, 3, padding="same", name="second")(x), x])
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x)), name="two_readers")
    data = np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")
    path = to_onnx(model, tmp_path / "model.onnx", quantize="int8", calibration_data=data).path
    session = onnxruntime.SessionOptions()
    session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(path, session, providers=["CPUExecutionProvider"])
    found = operations(onnx.load(tmp_path / "optimized.onnx"))
    assert found["QLinearConv"] == 2
    assert "Conv" not in found
