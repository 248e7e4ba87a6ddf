"""Layers that do something in training only: taken out, where that is all they do."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_se import SqueezeExcite
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.fold_batch_norm import fold_batch_norm
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.passes.remove_identities import remove_identities
from tests.support.arrays import in_float64
from tests.support.networks.exported import every_layer
from tests.support.passes import applied

IDENTITIES = {
    "Dropout": (lambda **o: layers.Dropout(0.5, **o), (5, 4, 3)),
    "SpatialDropout1D": (lambda **o: layers.SpatialDropout1D(0.5, **o), (5, 3)),
    "SpatialDropout2D": (lambda **o: layers.SpatialDropout2D(0.5, **o), (5, 4, 3)),
    "SpatialDropout3D": (lambda **o: layers.SpatialDropout3D(0.5, **o), (2, 5, 4, 3)),
    "AlphaDropout": (lambda **o: layers.AlphaDropout(0.5, **o), (5, 4, 3)),
    "GaussianDropout": (lambda **o: layers.GaussianDropout(0.5, **o), (5, 4, 3)),
    "GaussianNoise": (lambda **o: layers.GaussianNoise(0.5, **o), (5, 4, 3)),
    "ActivityRegularization": (lambda **o: layers.ActivityRegularization(0.1, **o), (5, 4, 3)),
    "Identity": (lambda **o: layers.Identity(**o), (5, 4, 3)),
    "Activation": (lambda **o: layers.Activation(None, **o), (5, 4, 3)),
}


def around(layer, shape):
    image = keras.Input(shape, dtype="float64")
    x = layers.Dense(4, dtype="float64", name="before")(image)
    return keras.Model(image, layers.Dense(2, dtype="float64", name="after")(layer(x)))


def names(model):
    return [layer.name for layer in every_layer(model)]


@pytest.mark.parametrize("kind", IDENTITIES)
def test_identity_layers_are_removed(kind):
    make, shape = IDENTITIES[kind]
    model = around(make(dtype="float64", name="identity"), shape)
    x, expected = in_float64(model, shape)
    rewritten = applied(remove_identities, model)
    assert "identity" not in names(rewritten)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(rewritten(x)), expected)
    assert "identity" in names(model)
    assert applied(remove_identities, rewritten) is rewritten


def test_identity_that_is_called_twice_is_removed():
    image = keras.Input((4,), dtype="float64")
    identity = layers.Dropout(0.5, dtype="float64", name="identity")
    x = layers.Dense(4, dtype="float64")(identity(layers.Dense(4, dtype="float64")(identity(image))))
    model = keras.Model(image, x)
    x, expected = in_float64(model, (4,))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(applied(remove_identities, model)(x)), expected)
    assert "identity" not in names(applied(remove_identities, model))


@pytest.mark.parametrize(
    "layer",
    [
        lambda x: layers.Dropout(0.5, dtype="float64")(x, training=True),
        lambda x: layers.Activation("relu", dtype="float64")(x),
        lambda x: layers.Identity(dtype="float32")(x),  # it rounds
        type("Doubled", (layers.Identity,), {"call": lambda self, x: 2 * x})(dtype="float64"),
    ],
)
def test_layers_that_compute_something_stay(layer):
    model = around(layer, (5, 4, 3))
    assert applied(remove_identities, model) is model


def test_identity_that_makes_an_output_stays():
    image = keras.Input((4,))
    model = keras.Model(image, layers.Activation("linear", name="logits")(layers.Dense(2)(image)))
    assert applied(remove_identities, model) is model


def test_identities_of_nested_models_are_removed():
    inner = around(layers.Dropout(0.5, dtype="float64", name="identity"), (5, 4, 3))
    image = keras.Input((5, 4, 3), dtype="float64")
    assert "identity" not in names(applied(remove_identities, keras.Model(image, inner(image))))


@pytest.mark.parametrize("training", [True, None])
def test_nested_models_called_in_training_are_not_edited(training):
    image = keras.Input((6, 6, 4), dtype="float64")
    x = layers.Conv2D(4, 1, dtype="float64", name="conv")(layers.Dropout(0.5, dtype="float64", name="inner")(image))
    inner = keras.Model(image, layers.BatchNormalization(dtype="float64", name="norm")(x))
    outside = keras.Input((6, 6, 4), dtype="float64")
    model = keras.Model(outside, inner(outside, training=training))
    stays = training is True
    assert (applied(remove_identities, model) is model) is stays
    assert (applied(fold_batch_norm, model) is model) is stays


def test_a_norm_is_folded_and_a_squeeze_moved_through_a_dropout():
    image = keras.Input((4, 4, 3), name="image")
    x = layers.Dropout(0.5, name="dropout")(layers.Conv2D(8, 1, name="conv")(image))
    x = SqueezeExcite(2, name="se")(layers.Activation("linear", name="linear")(layers.BatchNormalization(name="bn")(x)))
    rewritten, _ = optimized(InferenceModel(keras.Model(image, layers.Activation("relu", name="relu")(x))))
    assert [layer.name for layer in rewritten.model.layers] == ["image", "conv", "se", "relu"]
    assert len(rewritten.model.get_layer("se").input) == 2
