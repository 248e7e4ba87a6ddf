"""Resizing by a fraction gives the size that TensorFlow gives."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from keras_se.export import to_onnx
from keras_se.export.onnx.resize import fix_resize_scales

NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}


def resizing(before: int, scale: float, attributes: dict | None = None) -> onnx.ModelProto:
    """One row of an image, made wider."""
    attributes = attributes or {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Resize", ["same", "", "scales"], ["y"], **attributes),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "resizing",
        [value("x", TensorProto.FLOAT, [1, 1, 1, before])],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([1, 1, 1, scale], "float32"), "scales")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def inferred(model: onnx.ModelProto) -> int:
    """The width that ONNX's checker holds a file against."""
    (output,) = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output
    return output.type.tensor_type.shape.dim[3].dim_value


def scale_of(model: onnx.ModelProto) -> np.float32:
    (scales,) = model.graph.initializer
    return numpy_helper.to_array(scales)[-1]


@pytest.mark.parametrize(("before", "after"), [(11, 23), (13, 14), (23, 22), (5, 8), (7, 14), (6, 6)])
def test_resize_gives_the_intended_size(before: int, after: int) -> None:
    model, x = resizing(before, after / before), np.arange(before, dtype="float32").reshape(1, 1, 1, -1)
    old, scale = run(model, x), scale_of(model)
    fix_resize_scales(model)
    new = run(model, x)
    assert new.shape == (1, 1, 1, after)
    assert scale <= scale_of(model) <= scale * (1 + 2**-22)
    if old.shape == new.shape:
        np.testing.assert_allclose(new, old, rtol=1e-6)
    assert inferred(model) == after


@pytest.mark.parametrize("before", range(2, 20))
def test_nearest_pixels_stay_the_same(before: int) -> None:
    """Pixel i of the new row is the old one at (i + 1/2) * before / after, rounded down, in whole numbers."""
    for after in range(2, 40):
        model, x = resizing(before, after / before, NEAREST), np.arange(before, dtype="float32").reshape(1, 1, 1, -1)
        old = run(model, x)
        fix_resize_scales(model)
        new = run(model, x)
        # Where a new pixel reads between two old ones, what tf2onnx wrote stays, right or wrong.
        between = np.any((2 * np.arange(after) + 1) * before % (2 * after) == 0)
        assert new.shape == (1, 1, 1, after) or between
        if old.shape == new.shape:
            np.testing.assert_array_equal(new, old)
        else:
            wanted = (2 * np.arange(after) + 1) * before // (2 * after)
            assert np.count_nonzero(new[0, 0, 0] != wanted) <= 1


def test_uncorrected_ratio_loses_a_pixel() -> None:
    assert inferred(resizing(11, 23 / 11)) == 22


def test_next_larger_scale_is_right_for_all_sizes() -> None:
    before, after = (np.arange(1, 700, dtype="float64") for _ in range(2))
    ratio = (after / before[:, None]).astype("float32")
    scale = np.where(ratio % 1 == 0, ratio, np.nextafter(ratio, np.float32(np.inf)))
    size = before.astype("float32")[:, None] * scale
    assert size.dtype == np.float32
    np.testing.assert_array_equal(np.floor(size), np.broadcast_to(after, size.shape))


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(("before", "after"), [((11, 13), (23, 25)), ((4, 8), (6, 4)), ((6, 8), (9, 12))])
def test_odd_sizes_match_keras(before: tuple, after: tuple, interpolation: str, opset: int, tmp_path) -> None:
    image = keras.Input((*before, 2), name="image")
    x = keras.layers.Resizing(*after, interpolation=interpolation)(image)
    model = keras.Model(image, keras.layers.Conv2D(3, 3, padding="same", name="map")(x))
    x = np.random.default_rng(0).normal(size=(2, *before, 2)).astype("float32")
    artifact = to_onnx(model, tmp_path / "model.onnx", opset=opset, verification_data=x)
    np.testing.assert_allclose(artifact.predict(x), model.predict(x, verbose=0), atol=1e-5)
