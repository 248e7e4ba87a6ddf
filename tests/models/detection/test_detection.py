"""SEFCOS on networks of several families, what it is made of, and what `with_detections` makes of it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite
from keras_se.models import SEFCOS, FCOSLoss, SEResNet, feature_pyramid, with_detections
from keras_se.weights import Preprocessing
from tests.support.arrays import array, error, randomise
from tests.support.networks import NARROW
from tests.support.networks.detectors import CLASSES, backbone, detector, squares
from tests.support.numpy_networks import feeds, graphs_only, se_layers

pytestmark = graphs_only
# A network of each way in which sizes go on, with strides that it has.
FAMILIES = {
    "resnet": (4, 8),
    "vgg": (2, 4),
    "densenet": (4, 8),
    "inception_v3": (8, 16),
    "mobilenet_v2": (8, 16, 32),
    "shufflenet": (8, 16),
}


def locations(model: keras.Model) -> list[int]:
    return [int(np.prod(x.shape[1:3])) for x in model.outputs]


@pytest.mark.parametrize("name", FAMILIES)
def test_families(name: str) -> None:
    """The maps are the pyramid's, also where sizes do not halve. (`test_heads.py` has them learn, and exports them.)"""
    row, strides = NARROW[name], FAMILIES[name]
    network = row.build(include_top=False)
    model = SEFCOS(network, CLASSES, 8, strides=strides, depth=1, r=2)
    assert model.output_shape == (None, sum(locations(feature_pyramid(network, strides))), CLASSES + 5)


def test_parameters() -> None:
    """The neck's are for each map, the head's for all of them; counted by hand."""
    network = backbone()
    width, convolution = 8, 9 * 8 * 8
    neck = sum(channels * width + width + convolution + 2 * width for channels in (8, 8))
    excitation = 2 * (8 * 4 + 4 + 4 * 8 + 8)
    head = 2 * (convolution + width) + 9 * width * (CLASSES + 4 + 1) + CLASSES + 4 + 1
    own = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    model = detector()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == own + neck + excitation + head


def test_what_it_returns_at_first() -> None:
    """Scores of a hundredth, and boxes of two locations: so training begins calmly."""
    found = array(detector()(np.zeros((1, 64, 64, 3), "float32")))
    np.testing.assert_allclose(1 / (1 + np.exp(-found[..., :CLASSES])), 0.01, atol=1e-4)
    np.testing.assert_allclose(found[..., CLASSES:-1], 1, atol=1e-6)


def test_the_finest_map_comes_first_row_by_row() -> None:
    """What only the pixels of one location differ in, its part of the output differs in most."""
    model = SEFCOS(backbone(r=None), CLASSES, 8, strides=(4, 8), depth=1, r=None)
    randomise(model)
    image = np.zeros((1, 64, 64, 3), "float32")
    marked = image.copy()
    marked[:, 20:24, 40:44] = 1
    changes = np.abs(array(model(marked)) - array(model(image)))[0].sum(-1)
    assert changes.shape == (16 * 16 + 8 * 8,)
    rows, columns = np.nonzero(changes[:256].reshape(16, 16) > 0.5 * changes[:256].max())
    np.testing.assert_allclose([rows.mean(), columns.mean()], [5, 10], atol=2)
    rows, columns = np.nonzero(changes[256:].reshape(8, 8) > 0.5 * changes[256:].max())
    np.testing.assert_allclose([rows.mean(), columns.mean()], [2, 5], atol=2)


# Excitation


def test_excitation_behind_each_map() -> None:
    model = detector()
    assert [name for name in se_layers(model) if "neck" in name] == ["neck1_se", "neck2_se"]
    assert feeds(model, "neck1_se") == ["neck1_conv_relu"]
    assert model.get_layer("neck1_se").reduce_kernel.shape == (8, 4)


def test_another_excitation_for_a_map() -> None:
    model = detector(se=lambda level: SqueezeExcite(8, gate="hard_sigmoid") if level == 2 else None)
    assert [name for name in se_layers(model) if "neck" in name] == ["neck2_se"]


def test_no_excitation() -> None:
    assert se_layers(SEFCOS(backbone(r=None), CLASSES, 8, strides=(8, 16), r=None)) == []


# Settings


def test_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    network = SEResNet((1, 1, 1), filters=(1, 2, 2), input_shape=(3, 64, 64), include_top=False)
    model = SEFCOS(network, CLASSES, 8, strides=(8, 16), depth=1)
    assert model.output_shape == (None, 80, CLASSES + 5)
    shapes = {name: x.shape for name, x in with_detections(model, 5).output.items()}
    assert shapes == {"boxes": (None, 5, 4), "scores": (None, 5), "classes": (None, 5)}


def test_mixed_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    model = detector()
    assert model.get_layer("neck1_conv").compute_dtype == "float16"
    assert model.output.dtype == "float32"
    assert with_detections(model).output["boxes"].dtype == "float32"


def test_unknown_sizes() -> None:
    known, unknown = detector(75), detector(None)
    assert unknown.output_shape == (None, None, CLASSES + 5)
    unknown.set_weights(known.get_weights())
    x = np.random.default_rng(0).random((2, 75, 75, 3)).astype("float32")
    assert error(array(unknown(x)), array(known(x))) < 1e-5
    with pytest.raises(ValueError, match=r"^model requires images of a known size\. Received: images of shape "):
        with_detections(unknown)


def test_names() -> None:
    network = backbone(name="mine")
    assert SEFCOS(network, 2, 8, strides=(8,)).name == "mine_fcos"
    model = SEFCOS(network, 2, 8, strides=(8,), name="another")
    assert model.name == "another"
    assert with_detections(model).name == "another_detections"
    assert with_detections(model, name="third").name == "third"


def test_how_images_are_prepared_stays_known() -> None:
    network = backbone()
    network.preprocessing = Preprocessing(size=(64, 64), classes=3)
    model = SEFCOS(network, 2, 8, strides=(8,))
    assert model.preprocessing is with_detections(model).preprocessing is network.preprocessing


@pytest.mark.parametrize("name", ["classes", "filters", "depth"])
@pytest.mark.parametrize("value", [0, -1, 1.5, None, "3"])
def test_refuses_numbers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a positive integer\. Received: {name}="):
        SEFCOS(backbone(), **{"classes": 2, "strides": (8,), name: value})


@pytest.mark.parametrize("strides", [(16, 8), (8, 8)])
def test_refuses_strides_that_do_not_grow(strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^strides must go from fine to coarse\. Received: strides=") as caught:
        detector(strides=strides)
    assert str(caught.value).endswith(f"strides={strides}")


def test_refuses_strides_that_the_network_lacks() -> None:
    with pytest.raises(ValueError, match=r"^strides must be among those of .*: \[2, 4, 8, 16\]\. Received: "):
        SEFCOS(backbone(), 2)


# Boxes


def test_the_same_weights() -> None:
    model = detector()
    own = {id(weight) for weight in model.weights}
    assert {id(weight) for weight in with_detections(model).weights} == own


def test_no_more_detections_than_locations() -> None:
    model = detector()
    assert with_detections(model).output["scores"].shape == (None, 80)
    assert with_detections(model, 7).output["boxes"].shape == (None, 7, 4)


def test_saving(tmp_path: Path) -> None:
    """Both models, the one in training with its loss."""
    model = detector()
    randomise(model)
    model.compile("sgd", FCOSLoss())
    decoded = with_detections(model, 5)
    model.save(tmp_path / "model.keras")
    decoded.save(tmp_path / "decoded.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    x = squares(2, seed=0)[0]
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))
    expected = decoded.predict(x, verbose=0)
    for again in (keras.saving.load_model(tmp_path / "decoded.keras"), with_detections(loaded, 5)):
        found = again.predict(x, verbose=0)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("detections", [0, True, None, 2.5])
def test_refuses_detections(detections: Any) -> None:
    with pytest.raises(ValueError, match=r"^detections must be a positive integer\. Received: detections="):
        with_detections(detector(), detections)


def test_refuses_other_models() -> None:
    with pytest.raises(ValueError, match=r"^model must be made by SEFCOS\. Received: "):
        with_detections(backbone())
    with pytest.raises(ValueError, match=r"^model must be made by SEFCOS\. Received: "):
        with_detections(SEResNet((1,), block="basic", filters=(4,), input_shape=(32, 32, 3), classes=3))
    with pytest.raises(ValueError, match=r"^model must be made by SEFCOS\. Received: 'model'$"):
        with_detections("model")
