"""Weights of keras.applications: plain, and in networks with SE, which change nothing at first and then learn."""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import array, error, randomise

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite, models
from keras_se.layers import twice_sigmoid

NETWORKS = {
    "SEMobileNet": ("MobileNet", 64),
    "SEMobileNetV2": ("MobileNetV2", 64),
    "SEMobileNetV3Small": ("MobileNetV3Small", 64),
    "SEDenseNet121": ("DenseNet121", 64),
    "SEInceptionV3": ("InceptionV3", 96),
    "SEInceptionResNetV2": ("InceptionResNetV2", 96),
}


def reference(name: str, **options: object) -> keras.Model:
    application, size = NETWORKS[name]
    model = getattr(keras.applications, application)(weights=None, input_shape=(size, size, 3), **options)
    randomise(model)
    return model


def opening(stage: int) -> SqueezeExcite:
    return SqueezeExcite(16, gate=twice_sigmoid)


def images(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")


SLOW = ("SEInceptionV3", "SEInceptionResNetV2")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NETWORKS]
)
def test_se_changes_nothing_at_first(name: str) -> None:
    theirs = reference(name)
    options = {} if name == "SEMobileNetV3Small" else {"se": opening}  # V3 has its own
    ours = getattr(models, name)(weights=theirs, input_shape=theirs.input_shape[1:], **options)
    x = images(theirs.input_shape[1])
    assert sum(layer.name.endswith("_se") for layer in ours.layers) > 5
    assert error(array(ours(x)), array(theirs(x))) < 1e-5


def test_without_se() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, r=None, input_shape=(64, 64, 3))
    assert error(array(ours(images(64))), array(theirs(images(64)))) < 1e-6


def test_se_learns_from_the_first_step_on() -> None:
    options = {"alpha": 0.25, "input_shape": (64, 64, 3), "se": opening}
    ours = models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), **options)
    ours.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    ours.train_on_batch(images(64), np.arange(2))
    blocks = [layer for layer in ours.layers if layer.name.endswith("_se")]
    assert all(np.abs(array(block.expand_bias)).max() > 0 for block in blocks)


def test_a_classifier_of_other_classes_stays_new() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = models.SEMobileNet(weights=theirs, alpha=0.25, classes=7, input_shape=(64, 64, 3), r=None, name="mine")
    (warning,) = (found for found in caught if found.category is UserWarning)
    assert re.fullmatch(r"mine has other classes than \S+: logits is new\.", str(warning.message))
    assert warning.filename == __file__
    body = keras.Model(ours.input, ours.get_layer("avg_pool").input)
    expected = keras.Model(theirs.input, theirs.get_layer("conv_pw_13_relu").output)
    assert error(array(body(images(64))), array(expected(images(64)))) < 1e-6


def test_without_the_top() -> None:
    theirs = reference("SEMobileNet", alpha=0.25, include_top=False)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, include_top=False, input_shape=(64, 64, 3), se=opening)
    assert error(array(ours(images(64))), array(theirs(images(64)))) < 1e-6


def test_refuses_another_network_and_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match=r"^weights must be those of the network .* Received: 'mobilenet"):
        models.SEDenseNet121(weights=reference("SEMobileNet", alpha=0.25), input_shape=(64, 64, 3), r=None)
    with pytest.raises(ValueError, match=r"^weights must be those of the network .* which differs in"):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.5, input_shape=(64, 64, 3), r=None)


def test_refuses_imagenet_where_keras_has_no_such_network() -> None:
    with pytest.raises(ValueError, match=r"^weights=\"imagenet\" are .* Received: SEResNet50$"):
        models.SEResNet50(weights="imagenet")


@pytest.mark.parametrize("se", [None, lambda stage: ConcurrentSqueezeExcite(16)])
def test_refuses_gates_that_do_not_begin_at_one(se: object) -> None:
    with pytest.raises(ValueError, match=r"^With weights of keras\.applications, SE must .* Received: "):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.25, input_shape=(64, 64, 3), se=se)


def test_a_network_without_its_top_takes_the_rest_of_one_with_it() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, include_top=False, input_shape=(64, 64, 3), r=None)
    expected = keras.Model(theirs.input, theirs.get_layer("conv_pw_13_relu").output)
    assert error(array(ours(images(64))), array(expected(images(64)))) < 1e-6


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    options = {"alpha": 0.25, "input_shape": (64, 64, 3), "se": opening}
    ours = models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), **options)
    ours.save_weights(tmp_path / "ours.weights.h5")
    again = models.SEMobileNet(weights=tmp_path / "ours.weights.h5", **options)
    np.testing.assert_array_equal(array(again(images(64))), array(ours(images(64))))
