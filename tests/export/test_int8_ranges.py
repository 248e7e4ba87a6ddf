"""The ranges of int8 files: those that tensors have over the calibration data."""

import keras
import numpy as np
from keras import layers

from keras_se.export import to_tflite

from .runtimes import interpreter


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

    inner = [model.get_layer(name).output for name in ("wide", "narrow", "product", "branch", "total", "end")]
    expected = [np.ptp([*tensor.numpy().ravel(), 0]) / 255 for tensor in keras.Model(image, inner)(x)]
    loaded = interpreter(artifact.path, delegate=False)
    scales = {
        loaded._get_tensor_details(index, 0)["quantization"][0]
        for operation in loaded._get_ops_details()
        for index in operation["outputs"]
    }
    for scale in expected:
        assert min(abs(found / scale - 1) for found in scales) < 1e-4
