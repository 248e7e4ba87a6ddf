"""What all builders have in common: the head, the inputs, the weights, `se=`, and what is refused."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
from keras_se.models import SEMobileNet, SEResNet, SEResNet18, SEResNet34, SEResNet50, SEResNet101, SEResNet152
from tests.support.arrays import array, error, randomise

Builder = Callable[..., keras.Model]


def resnet(**options: Any) -> keras.Model:
    """Two stages with one and two blocks."""
    return SEResNet((1, 2), **({"filters": (4, 8), "input_shape": (32, 32, 3), "classes": 5} | options))


def mobilenet(**options: Any) -> keras.Model:
    return SEMobileNet(**({"input_shape": (32, 32, 3), "alpha": 0.1, "classes": 5} | options))


both = pytest.mark.parametrize("build", [resnet, mobilenet])


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def se_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name.endswith("_se")]


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers] + [weight.path for weight in model.weights]


# The signature


@pytest.mark.parametrize(
    ("builder", "reference"),
    [
        *[(builder, keras.applications.ResNet50) for builder in (SEResNet18, SEResNet34, SEResNet50)],
        *[(builder, keras.applications.ResNet50) for builder in (SEResNet101, SEResNet152)],
        (SEMobileNet, keras.applications.MobileNet),
    ],
)
def test_the_positional_part_is_that_of_keras_applications(builder: Builder, reference: Builder) -> None:
    def positional(function: Builder) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}

    ours, theirs = positional(builder), positional(reference)
    assert list(ours) == list(theirs)
    assert {name for name in ours if ours[name] != theirs[name]} <= {"weights", "name"}
    assert ours["weights"] is None  # nothing is downloaded that was not asked for


# The head


@both
def test_the_head(build: Builder) -> None:
    x = images(2, 32, 32, 3)
    model, logits = build(), build(classifier_activation=None)
    randomise(model)
    logits.set_weights(model.get_weights())
    assert model.output_shape == (None, 5)
    exponentials = np.exp(array(logits(x)))
    assert error(array(model(x)), exponentials / exponentials.sum(-1, keepdims=True)) < 1e-5


@both
def test_without_the_head(build: Builder) -> None:
    x = images(2, 64, 64, 3)
    body, avg, largest = (build(include_top=False, pooling=pooling) for pooling in (None, "avg", "max"))
    body = build(include_top=False, input_shape=None)
    randomise(body)
    features = array(body(x))
    assert body.input_shape == (None, None, None, 3)
    assert features.ndim == 4
    for model, reduce in [(avg, np.mean), (largest, np.max)]:
        model.set_weights(body.get_weights())
        expected = reduce(array(body(x[:, :32, :32])), axis=(1, 2))
        assert error(array(model(x[:, :32, :32])), expected) < 1e-5


@both
def test_the_default_input_is_that_of_imagenet(build: Builder) -> None:
    assert build(input_shape=None).input_shape == (None, 224, 224, 3)


# Inputs


@both
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_any_number_of_channels(build: Builder, channels: int) -> None:
    model = build(input_shape=(32, 40, channels))
    assert np.isfinite(array(model(images(1, 32, 40, channels)))).all()


@both
def test_input_tensor(build: Builder) -> None:
    image = keras.Input((32, 32, 3), name="mine")
    model = build(input_shape=None, input_tensor=keras.layers.Rescaling(2.0, name="double")(image))
    plain = build()
    randomise(plain)
    model.set_weights(plain.get_weights())
    assert model.layers[0].name == "mine"
    x = images(2, 32, 32, 3)
    assert error(array(model(x)), array(plain(2 * x))) < 1e-6


@both
def test_input_tensor_of_the_stated_shape(build: Builder) -> None:
    assert build(input_tensor=keras.Input((32, 32, 3)), input_shape=(32, 32, 3)).inputs[0].shape == (None, 32, 32, 3)
    with pytest.raises(
        ValueError, match=r"^input_shape must be the shape of input_tensor.* input_shape=\(32, 32, 1\)$"
    ):
        build(input_tensor=keras.Input((32, 32, 3)), input_shape=(32, 32, 1))
    with pytest.raises(ValueError, match=r"^input_tensor must be .* Received: input_tensor of type ndarray$"):
        build(input_tensor=images(1, 32, 32, 3))


@both
def test_channels_first(build: Builder) -> None:
    last = build()
    randomise(last)
    keras.config.set_image_data_format("channels_first")
    first = build(input_shape=(3, 32, 32))
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in last.weights]
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first convolution on a CPU: built, not run")
    first.set_weights(last.get_weights())
    x = images(2, 32, 32, 3)
    assert error(array(first(np.moveaxis(x, -1, 1))), array(last(x))) < 1e-5


# Names and weights


@both
def test_names_are_the_same_each_time(build: Builder) -> None:
    assert names(build()) == names(build())
    assert set(names(build(r=None))) == {name for name in names(build()) if "_se" not in name}


@both
def test_weights_from_a_file(build: Builder, tmp_path: Path) -> None:
    model = build()
    randomise(model)
    path = tmp_path / "network.weights.h5"
    model.save_weights(path)
    for weights in (path, str(path)):
        loaded = build(weights=weights)
        for actual, expected in zip(loaded.weights, model.weights, strict=True):
            np.testing.assert_array_equal(array(actual), array(expected))


@both
def test_weights_of_another_network_are_refused(build: Builder, tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    build(include_top=False).save_weights(path)
    with pytest.raises(ValueError, match=r"^weights must be a \.weights\.h5 file of .* \(no weights for "):
        build(weights=path)


@both
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("a.h5", r"^weights must be None, a file .* Received: weights='a.h5'$"),
        (3, r"^weights must be None or .* Received: weights=3$"),
        ("missing.weights.h5", r"^weights must be a file that exists\. Received: weights='missing.weights.h5'$"),
    ],
)
def test_refuses_weights(build: Builder, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(weights=weights)


# se=


@both
@pytest.mark.parametrize("layer", [SpatialSqueezeExcite, ConcurrentSqueezeExcite, keras.layers.LayerNormalization])
def test_se_may_be_another_layer(build: Builder, layer: type, tmp_path: Path) -> None:
    model = build(se=lambda stage: layer(), r=None)  # it wins over r
    assert {type(found) for found in se_layers(model)} == {layer}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images(1, 32, 32, 3)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


@both
def test_se_must_return_a_new_layer_each_time(build: Builder) -> None:
    layer = SpatialSqueezeExcite()
    with pytest.raises(ValueError, match=r"^se must return a new keras\.layers\.Layer.* for stage [12]$"):
        build(se=lambda stage: layer)


@both
@pytest.mark.parametrize("r", [1, 4, 64])
def test_r_reaches_every_layer(build: Builder, r: int) -> None:
    assert {layer.r for layer in se_layers(build(r=r))} == {r}


# What is refused


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, r"^r must be a positive integer\. Received: r=0$"),
        ({"r": "x"}, r"^r must be a positive integer\. Received: r='x'$"),
        ({"se": "scse"}, r"^se must be a function.* Received: se='scse'$"),
        ({"se": SqueezeExcite}, r"^se must be a function from the stage.* Received: se=<class .*SqueezeExcite'>$"),
        ({"se": SqueezeExcite(8)}, r"^se must be a function.*lambda stage: SqueezeExcite\(8\)"),
        ({"se": lambda stage: "layer"}, r"^se must return a new .* Received: 'layer' for stage 1$"),
        ({"placement": "x"}, r"^placement must be one of .* Received: placement='x'$"),
        ({"stem": "x"}, r"^stem must be .* Received: stem='x'$"),
        ({"classes": 0}, r"^classes must be a positive integer\. Received: classes=0$"),
        ({"classes": 2.0}, r"^classes must be a positive integer\. Received: classes=2.0$"),
        ({"pooling": "x"}, r"^pooling must be .* Received: pooling='x'$"),
        ({"input_shape": ("64", 64, 3)}, r"^input_shape must be .* of shape \('64', 64, 3\)$"),
        ({"input_shape": (64.0, 64.0, 3)}, r"^input_shape must be .* of shape \(64\.0, 64\.0, 3\)$"),
        ({"input_shape": (64, 64, -3)}, r"^input_shape must be .* of shape \(64, 64, -3\)$"),
        ({"input_shape": (64, 64, 3.5)}, r"^input_shape must be .* of shape \(64, 64, 3\.5\)$"),
        ({"input_shape": (31, 32, 3)}, r"^input_shape must be .* 32x32 pixels .* of shape \(31, 32, 3\)$"),
        ({"input_shape": (32, 31, 3)}, r"^input_shape must be .* of shape \(32, 31, 3\)$"),
        ({"input_shape": (32, 32)}, r"^input_shape must be .* of shape \(32, 32\)$"),
        ({"input_shape": (1, 32, 32, 3)}, r"^input_shape must be .* of shape \(1, 32, 32, 3\)$"),
        ({"input_shape": (32, 32, None)}, r"^input_shape must be .* of shape \(32, 32, None\)$"),
        ({"input_shape": (32, 32, 0)}, r"^input_shape must be .* of shape \(32, 32, 0\)$"),
        ({"input_shape": None, "input_tensor": keras.KerasTensor((1, 16, 16, 3))}, r"^input_tensor must be .* 32x32"),
    ],
)
def test_refuses_arguments_out_of_range(build: Builder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("placment", "placement"), ("num_classes", "classes"), ("reduction", "r"), ("pretrained", "weights")],
)
def test_an_argument_of_another_name_is_told_its_own(given: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"^SEResNet18 has no argument '{given}'\. Did you mean {meant}\?"):
        SEResNet18(**{given: 5})
    with pytest.raises(TypeError, match=r"^SEResNet18 has no argument 'qqqq'\. It takes: include_top, weights"):
        SEResNet18(qqqq=1)
