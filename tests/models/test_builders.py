"""Every builder of keras_se.models, as small as it comes: builds, trains, saves, loads, and runs in mixed precision."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from helpers import array

from keras_se import models

IMAGE = (32, 32, 3)
# A builder with whatever makes it small. All tell three classes apart.
BUILDERS: dict[str, Callable[..., keras.Model]] = {
    name: getattr(models, name) for name in models.__all__ if name != "feature_pyramid"
} | {
    "SEResNet": partial(models.SEResNet, (1, 1), filters=(4, 8)),
    "SENet": partial(models.SENet, (1, 1), filters=(4, 8), groups=2),
    "SEPreActResNet": partial(models.SEPreActResNet, (1, 1), filters=(4, 8)),
    "SEVGG": partial(models.SEVGG, (1, 1), filters=(4, 8), hidden=8),
    "SEDenseNet": partial(models.SEDenseNet, (2, 2), growth=4),
    "SEMobileNetV3": partial(models.SEMobileNetV3, "small", alpha=0.25),
    "SEMobileNet": partial(models.SEMobileNet, alpha=0.25),
}
SLOW = set(BUILDERS) - set(models.FAMILIES) - {"SEMobileNet", "SEResNet18"}
every_builder = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in BUILDERS]
)


def build(name: str, **options: Any) -> keras.Model:
    return BUILDERS[name](input_shape=(32, 32, 3), classes=3, **options)


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype("float32")


def test_the_table_has_every_builder() -> None:
    assert set(BUILDERS) == set(models.__all__)


@pytest.mark.parametrize("name", BUILDERS)
def test_builds(name: str) -> None:
    model = build(name)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 3)
    assert any(layer.name.endswith("_se") for layer in model.layers)
    assert BUILDERS[name].__doc__


@every_builder
def test_trains_saves_and_loads(name: str, tmp_path: Path) -> None:
    model = build(name)
    before = {weight.path: array(weight) for weight in model.trainable_weights}
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy", run_eagerly=True)
    loss = model.train_on_batch(images(), np.arange(3))
    assert np.isfinite(loss)
    still = [weight.path for weight in model.trainable_weights if np.array_equal(array(weight), before[weight.path])]
    # In a block whose SE has one or two hidden units, these may all be off: their weights have no gradient then.
    assert not [path for path in still if "_se/" not in path]

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    np.testing.assert_array_equal(array(loaded(images())), array(model(images())))


@every_builder
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_runs_in_mixed_precision(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = build(name)
    y = model(images())
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers if layer.name.endswith("_se")} == {policy[6:]}
    # A softmax in half precision would be off by a thousand times as much.
    np.testing.assert_allclose(array(y).sum(-1), 1, atol=1e-6)
