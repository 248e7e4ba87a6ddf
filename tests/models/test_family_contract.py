"""Every builder, its images shrunk: builds, trains, saves, loads, and runs in mixed precision."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import models
from tests.support.arrays import array
from tests.support.cases import case
from tests.support.networks import FULL, NARROW
from tests.support.networks.families import CLASSES, DEEP, FAMILIES, TABLE

BUILDERS = set(models.BUILDERS)
# JAX compiles every operation once for each shape that it meets.
ON_JAX = keras.backend.backend() == "jax"
SLOW = {*FULL, *((*DEEP, "resnet_d") if ON_JAX else ())}


every_network = pytest.mark.parametrize("name", [case(name, slow=name in SLOW) for name in TABLE])


def test_the_table_has_every_builder() -> None:
    assert {row.builder for row in TABLE.values()} == BUILDERS
    assert set(FULL) == BUILDERS - FAMILIES
    assert not any(row.options for row in FULL.values())


def test_the_table_has_a_narrow_network_of_every_family() -> None:
    assert {row.family for row in NARROW.values()} == {row.family for row in TABLE.values()}
    assert {row.builder for row in NARROW.values()} >= FAMILIES


@every_network
def test_builds(name: str) -> None:
    row = TABLE[name]
    model = row.build()
    assert model.input_shape == (None, row.size, row.size, 3)
    assert model.output_shape == (None, CLASSES)
    assert any(layer.name.endswith("_se") for layer in model.layers)
    assert getattr(models, row.builder).__doc__


@every_network
def test_trains_saves_and_loads(name: str, tmp_path: Path) -> None:
    row = TABLE[name]
    model, images = row.build(), row.images(CLASSES)
    before = {weight.path: array(weight) for weight in model.trainable_weights}
    # So fast a rate that no step is lost in rounding, be the gradient ever so small.
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    loss = model.train_on_batch(images, np.arange(CLASSES))
    assert np.isfinite(loss)
    still = [weight.path for weight in model.trainable_weights if np.array_equal(array(weight), before[weight.path])]
    # In a block whose SE has one or two hidden units, these may all be off: their weights have no gradient then.
    assert not [path for path in still if "_se/" not in path]

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    outputs = array(model(images))
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(array(loaded(images)), outputs)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *(case(name, "mixed_float16", slow=name in SLOW) for name in TABLE),
        *(case(name, "mixed_bfloat16", slow=name in SLOW or ON_JAX) for name in TABLE),
    ],
)
def test_runs_in_mixed_precision(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    row = TABLE[name]
    model = row.build()
    y = model(row.images(2))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers if layer.name.endswith("_se")} == {policy[6:]}
    # A softmax in half precision would be off by a thousand times as much.
    np.testing.assert_allclose(array(y).sum(-1), 1, atol=1e-6)
