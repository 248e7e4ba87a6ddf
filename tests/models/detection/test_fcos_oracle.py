"""SEFCOS against the same layers in NumPy, on images that are not square and with either order of axes."""

import keras
import numpy as np
import pytest

from keras_se.models import SEFCOS, with_detections
from tests.support.arrays import array, error, randomise, resized_in_numpy
from tests.support.networks.detectors import CLASSES, backbone
from tests.support.networks.segmenters import NumpyHead, images, maps_of
from tests.support.numpy_networks import relu

SIZE, STRIDES, DEPTH = (37, 51), (4, 8, 16), 2


class NumpyFCOS(NumpyHead):
    def tower(self, x: np.ndarray, name: str) -> np.ndarray:
        for step in range(1, DEPTH + 1):
            x = relu(self.conv(x, f"{name}_tower{step}"))
        return x

    def __call__(self, maps: list[np.ndarray]) -> np.ndarray:
        rows, above = [], None
        for level in range(len(maps), 0, -1):
            x = self.conv(maps[level - 1], f"neck{level}_lateral")
            if above is not None:
                x = x + resized_in_numpy(above, x.shape[1:3])
            above = x
            x = self.excited(self.conv_bn_relu(x, f"neck{level}_conv"), self.weights(f"neck{level}_se"))
            boxes = self.tower(x, "boxes")
            parts = [
                self.conv(self.tower(x, "classes"), "classes_conv"),
                relu(self.conv(boxes, "boxes_conv")),
                self.conv(boxes, "quality_conv"),
            ]
            rows.insert(0, np.concatenate(parts, axis=-1).reshape(len(x), -1, CLASSES + 5))
        return np.concatenate(rows, axis=1)


def detector(shape: tuple[int, int, int]) -> tuple[keras.Model, keras.Model]:
    """A backbone, and the detector on it."""
    network = backbone(shape)
    return network, SEFCOS(network, CLASSES, 8, strides=STRIDES, depth=DEPTH, r=2)


@pytest.fixture(scope="module")
def models() -> tuple[keras.Model, keras.Model]:
    network, model = detector((*SIZE, 3))
    randomise(model)
    return network, model


def test_computes_what_numpy_computes(models: tuple[keras.Model, keras.Model]) -> None:
    network, model = models
    x = images(*SIZE)
    maps = maps_of(network, STRIDES, x)
    expected = NumpyFCOS(model)(list(maps.values()))
    assert error(array(model(x)), expected) < 1e-5
    without = NumpyFCOS(model)([maps[4], maps[8], 0 * maps[16]])
    assert error(array(model(x)), without) > 1e-3  # the finer maps have what the coarse one has


def test_channels_first(models: tuple[keras.Model, keras.Model]) -> None:
    """The output is what the same weights compute with channels last, and so are the detections."""
    _, model = models
    x = images(*SIZE)
    expected = with_detections(model, 5)(x)
    keras.config.set_image_data_format("channels_first")
    _, first = detector((3, *SIZE))
    assert first.output_shape == model.output_shape
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in model.weights]
    first.set_weights(model.get_weights())
    found = with_detections(first, 5)
    assert {name: x.shape for name, x in found.output.items()} == {
        **{"boxes": (None, 5, 4), "scores": (None, 5)},
        "classes": (None, 5),
    }
    if keras.backend.backend() != "tensorflow":  # whose convolutions on processors want channels last
        assert error(array(first(np.moveaxis(x, -1, 1))), array(model(x))) < 1e-5
        for name, values in found(np.moveaxis(x, -1, 1)).items():
            assert error(array(values), array(expected[name])) < 1e-5
