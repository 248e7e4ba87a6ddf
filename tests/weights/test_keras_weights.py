"""Weights of keras.applications: plain, and in networks with SE, which change nothing at first and then learn."""

import re
import warnings

import keras
import numpy as np
import pytest
from helpers import array, error, randomise

from keras_se import models

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


def images(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")


SLOW = ("SEInceptionV3", "SEInceptionResNetV2")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NETWORKS]
)
def test_se_changes_nothing_at_first(name: str) -> None:
    theirs = reference(name)
    ours = getattr(models, name)(weights=theirs, input_shape=theirs.input_shape[1:])
    x = images(theirs.input_shape[1])
    assert sum(layer.name.endswith("_se") for layer in ours.layers) > 5
    assert error(array(ours(x)), array(theirs(x))) < 1e-5


def test_without_se() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, r=None, input_shape=(64, 64, 3))
    assert error(array(ours(images(64))), array(theirs(images(64)))) < 1e-6


def test_se_learns_from_the_first_step_on() -> None:
    ours = models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.25, input_shape=(64, 64, 3))
    ours.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    ours.train_on_batch(images(64), np.arange(2))
    blocks = [layer for layer in ours.layers if layer.name.endswith("_se")]
    assert all(np.abs(array(block.expand_bias)).max() > 0 for block in blocks)


def test_a_classifier_of_other_classes_stays_new() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = models.SEMobileNet(weights=theirs, alpha=0.25, classes=7, input_shape=(64, 64, 3), name="mine")
    (warning,) = (found for found in caught if found.category is UserWarning)
    assert re.fullmatch(r"mine has other classes than \S+: logits is new\.", str(warning.message))
    assert warning.filename == __file__
    body = keras.Model(ours.input, ours.get_layer("avg_pool").input)
    expected = keras.Model(theirs.input, theirs.get_layer("conv_pw_13_relu").output)
    assert error(array(body(images(64))), array(expected(images(64)))) < 1e-6


def test_without_the_top() -> None:
    theirs = reference("SEMobileNet", alpha=0.25, include_top=False)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, include_top=False, input_shape=(64, 64, 3))
    assert error(array(ours(images(64))), array(theirs(images(64)))) < 1e-6


def test_refuses_another_network_and_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match=r"^weights must be those of the network .* Received: 'mobilenet"):
        models.SEDenseNet121(weights=reference("SEMobileNet", alpha=0.25), input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match=r"^weights must be those of the network .* which differs in"):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.5, input_shape=(64, 64, 3))


def test_refuses_imagenet_where_keras_has_no_such_network() -> None:
    with pytest.raises(ValueError, match=r"has no such network\. Received: SEResNet50$"):
        models.SEResNet50(weights="imagenet")
