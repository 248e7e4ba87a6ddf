"""The ranges of int8 files: those that tensors have over the calibration data."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se.export import to_tflite
from tests.support.runtimes import interpreter


def test_ranges_are_those_of_the_tensors(tmp_path):
    """Also of what an addition or a product may write its result over, which TensorFlow's calibrator takes for it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4), name="image")
    product = layers.Multiply(name="product")([layers.Conv2D(8, 1, name=name)(image) for name in ("wide", "narrow")])
    total = layers.Add(name="total")([layers.Conv2D(8, 1, name="branch")(product), layers.Conv2D(8, 1)(image)])
    model = keras.Model(image, layers.Conv2D(3, 1, name="end")(total))
    model.get_layer("wide").kernel.assign(100 * model.get_layer("wide").kernel)
    x = np.random.default_rng(0).normal(size=(24, 8, 8, 4)).astype("float32")
    artifact = to_tflite(model, tmp_path / "model.tflite", quantize="int8", calibration_data=x, io_dtype="int8")

    names = ("wide", "narrow", "product", "branch", "total")
    inner = keras.Model(image, [model.get_layer(name).output for name in names])(x)
    loaded = interpreter(artifact.path, delegate=False)
    details = [loaded._get_tensor_details(i, 0) for made in loaded._get_ops_details() for i in made["outputs"]]
    scales = {detail["name"].split("/")[1].removesuffix("_1"): detail["quantization"][0] for detail in details[:-1]}
    for name, values in zip(names, inner, strict=True):
        assert scales[name] == pytest.approx(np.ptp([*values.numpy().ravel(), 0]) / 255, rel=1e-4)
