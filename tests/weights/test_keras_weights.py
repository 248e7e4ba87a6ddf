"""Weights of keras.applications: plain, and in networks with SE, which change nothing at first and then learn."""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import ConcurrentSqueezeExcite, SqueezeExcite, models
from keras_se.layers import twice_sigmoid
from keras_se.models import feature_pyramid
from keras_se.weights import NewClassifierWarning
from keras_se.weights.keras_applications import copy_weights
from tests.support.arrays import array, error, randomise
from tests.support.cases import case

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


def v3(**options: object) -> keras.Model:
    """A MobileNetV3 whose gates are not all closed, so that its answer depends on the image."""
    model = reference("SEMobileNetV3Small", include_preprocessing=False, **options)
    for layer in model.layers:
        if layer.name.endswith("squeeze_excite_conv_1"):
            layer.bias.assign(layer.bias + 2.0)
    return model


def images(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")


SLOW = ("SEDenseNet121", "SEInceptionV3", "SEInceptionResNetV2")


@pytest.mark.parametrize("name", [case(name, slow=name in SLOW) for name in NETWORKS])
def test_se_changes_nothing_at_first(name: str) -> None:
    own = name == "SEMobileNetV3Small"
    theirs = v3() if own else reference(name)
    options = {"include_preprocessing": False} if own else {"se": opening}
    ours = getattr(models, name)(weights=theirs, input_shape=theirs.input_shape[1:], **options)
    x = images(theirs.input_shape[1])
    answers = array(theirs(x))
    assert error(answers[:1], answers[1:]) > 0.01  # they depend on the image
    assert sum(layer.name.endswith("_se") for layer in ours.layers) > 5
    assert error(array(ours(x)), answers) < 1e-5


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
    (warning,) = (found for found in caught if found.category is NewClassifierWarning)
    assert re.fullmatch(r"mine has other classes than \S+: logits got random weights\.", str(warning.message))
    assert warning.filename == __file__
    body = keras.Model(ours.input, ours.get_layer("avg_pool").input)
    expected = keras.Model(theirs.input, theirs.get_layer("conv_pw_13_relu").output)
    assert error(array(body(images(64))), array(expected(images(64)))) < 1e-6


def test_a_reference_without_its_top() -> None:
    theirs = reference("SEMobileNet", alpha=0.25, include_top=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        models.SEMobileNet(weights=theirs, alpha=0.25, classes=7, input_shape=(64, 64, 3), r=None, name="mine")
    (warning,) = (found for found in caught if found.category is NewClassifierWarning)
    assert str(warning.message) == f"mine has a classifier, unlike {theirs.name}: logits got random weights."


SMALL = {"input_shape": (64, 64, 3)}


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"include_preprocessing": True}, "include_preprocessing=False"),
        ({"padding": "symmetric"}, "padding of stem_conv"),
        ({"epsilon": 1e-5}, "epsilon of stem_conv_bn"),
        ({"padding": "symmetric", "epsilon": 1e-5}, "padding of stem_conv, epsilon of stem_conv_bn"),
    ],
)
def test_options_that_change_no_shape(options: dict[str, object], difference: str) -> None:
    right = {"include_preprocessing": False, **SMALL}
    theirs = v3()
    models.SEMobileNetV3Small(weights=theirs, **right)
    with pytest.raises(ValueError, match=r"^weights must be of the same network as ") as caught:
        models.SEMobileNetV3Small(weights=theirs, **{**right, **options})
    assert str(caught.value).endswith(f"Received: '{theirs.name}', which differs in {difference}")


@pytest.mark.parametrize(
    ("attribute", "value", "difference"),
    [
        ("gate", keras.activations.sigmoid, 'SE of gate="hard_sigmoid"'),
        ("squeeze", "max", 'SE of squeeze="avg"'),
        ("activation", keras.activations.tanh, 'SE of activation="relu"'),
    ],
)
def test_an_excitation_that_changes_no_shape(attribute: str, value: object, difference: str) -> None:
    theirs = v3()
    model = models.SEMobileNetV3Small(include_preprocessing=False, **SMALL)
    setattr(next(layer for layer in model.layers if isinstance(layer, SqueezeExcite)), attribute, value)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^weights must be of the same network as ") as caught:
        copy_weights(theirs, model)
    assert str(caught.value).endswith(f"which differs in {difference}")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stride_that_changes_no_shape() -> None:
    with pytest.raises(ValueError, match=r"which differs in strides of stem_conv"):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.25, stem="small", r=None, **SMALL)


@pytest.mark.parametrize(
    "sizes", [(64, 65), (None, 64), *(case(sizes, slow=True) for sizes in ((65, 64), (64, None), (65, 33), (96, 64)))]
)
def test_the_same_network_of_another_size(sizes: tuple[int | None, int | None]) -> None:
    """What Keras pads by its rule for one size, it pads otherwise for another: these are one network all the same."""
    theirs, ours = ((size, size, 3) for size in sizes)
    for name, their_name in (("SEMobileNet", "MobileNet"), ("SEMobileNetV2", "MobileNetV2")):
        shared = {"alpha": 0.35, "include_top": False}
        reference = getattr(keras.applications, their_name)(weights=None, input_shape=theirs, **shared)
        getattr(models, name)(weights=reference, input_shape=ours, r=None, **shared)


def test_the_preprocessing_option_is_the_reference_s(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def network(**options: object) -> keras.Model:
        asked.append(options.pop("weights"))
        return make(weights=None, input_shape=(64, 64, 3), **options)

    make = keras.applications.MobileNetV3Small
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", network)
    for included in (True, False):
        model = models.SEMobileNetV3Small(weights="imagenet", include_preprocessing=included, **SMALL)
        x = np.full((1, 2, 2, 3), 255.0, "float32")
        np.testing.assert_allclose(model.preprocessing.preprocess_input(x), 255 if included else 1, rtol=1e-6)
    assert asked == ["imagenet"] * 2


@pytest.mark.parametrize(
    ("name", "theirs", "mode"),
    [
        ("SEMobileNet", "mobilenet", {"alpha": 0.25}),
        ("SEMobileNetV2", "mobilenet_v2", {"alpha": 0.35}),
        ("SEDenseNet121", "densenet", {}),
    ],
)
def test_images_are_prepared_as_in_keras(name: str, theirs: str, mode: dict[str, object]) -> None:
    model = getattr(models, name)(weights=reference(name, **mode), r=None, **mode, **SMALL)
    x = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    expected = getattr(keras.applications, theirs).preprocess_input(x.copy())
    np.testing.assert_allclose(model.preprocessing.preprocess_input(x), expected, atol=1e-5)
    assert (model.preprocessing.size, model.preprocessing.classes) == ((64, 64), 1000)
    if name == "SEMobileNet":
        assert feature_pyramid(model).preprocessing == model.preprocessing
        assert not hasattr(feature_pyramid(models.SEMobileNet(alpha=0.25, **SMALL)), "preprocessing")


def test_without_the_top() -> None:
    theirs = reference("SEMobileNet", alpha=0.25, include_top=False)
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, include_top=False, input_shape=(64, 64, 3), se=opening)
    assert error(array(ours(images(64))), array(theirs(images(64)))) < 1e-6


def test_refuses_another_network_and_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match=r"^weights must be of the same network as .* Received: 'mobilenet"):
        models.SEDenseNet121(weights=reference("SEMobileNet", alpha=0.25), input_shape=(64, 64, 3), r=None)
    with pytest.raises(ValueError, match=r"^weights must be of the same network as .* which differs in"):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.5, input_shape=(64, 64, 3), r=None)


def test_refuses_imagenet_where_keras_has_no_such_network() -> None:
    with pytest.raises(ValueError, match=r"^weights=\"imagenet\" requires .* Received: SEResNet50$"):
        models.SEResNet50(weights="imagenet")


@pytest.mark.parametrize("se", [None, lambda stage: ConcurrentSqueezeExcite(16)])
def test_refuses_gates_that_do_not_begin_at_one(se: object) -> None:
    with pytest.raises(ValueError, match=r"^Weights of keras\.applications require SE .* Received: "):
        models.SEMobileNet(weights=reference("SEMobileNet", alpha=0.25), alpha=0.25, input_shape=(64, 64, 3), se=se)


def test_says_first_that_it_is_another_network() -> None:
    with pytest.raises(ValueError, match=r"^weights must be of the same network as .* which differs in"):
        models.SEMobileNet(weights=reference("SEMobileNetV2", alpha=0.35), alpha=0.25, input_shape=(64, 64, 3))


def test_says_that_weights_come_with_se() -> None:
    theirs = v3()
    with pytest.raises(
        ValueError,
        match=r"^The weights of .* include SE, so the network must have it: .* Received: ",
    ) as caught:
        models.SEMobileNetV3Small(weights=theirs, r=None, include_preprocessing=False, **SMALL)
    assert str(caught.value).endswith("'se_mobilenet_v3_small' without SE")


def test_layers_before_the_network_keep_their_weights() -> None:
    theirs = reference("SEMobileNet", alpha=0.25)
    own = keras.layers.Conv2D(3, 1, name="own")
    image = own(keras.Input((64, 64, 1)))
    before = own.get_weights()
    ours = models.SEMobileNet(weights=theirs, alpha=0.25, input_tensor=image, r=None)
    for one, other in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    x = images(64)[..., :1]
    assert error(array(ours(x)), array(theirs(own(x)))) < 1e-6


def test_network_without_top_loads_weights_of_one_with_top() -> None:
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
