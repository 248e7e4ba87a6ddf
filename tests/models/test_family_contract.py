"""The contract of every network: it builds, trains, saves, loads, runs in mixed precision, and takes `se` and layouts.

What a family has of its own is in `families/`.
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import SqueezeExcite, models
from tests.support.arrays import array
from tests.support.cases import case
from tests.support.networks import FULL, NARROW
from tests.support.networks.families import CLASSES, DEEP, FAMILIES, TABLE
from tests.support.numpy_networks import graphs_only

BUILDERS = set(models.BUILDERS)
# JAX compiles every operation once for each shape that it meets.
ON_JAX = keras.backend.backend() == "jax"
DEEPEST = {"bn_inception", "inception_v3", "inception_resnet", "mobilenet_v2"}
SLOW = {*FULL, *DEEPEST, *((*DEEP, "resnet_d") if ON_JAX else ())}


every_network = pytest.mark.parametrize("name", [case(name, slow=name in SLOW) for name in TABLE])


def test_table_has_every_builder() -> None:
    assert {row.builder for row in TABLE.values()} == BUILDERS
    assert set(FULL) == BUILDERS - FAMILIES
    assert not any(row.options for row in FULL.values())


def test_table_has_a_narrow_network_of_every_family() -> None:
    assert {row.family for row in NARROW.values()} == {row.family for row in TABLE.values()}
    assert {row.builder for row in NARROW.values()} >= FAMILIES


@every_network
def test_network_builds_with_se_and_documentation(name: str) -> None:
    row = TABLE[name]
    model = row.build()
    assert model.input_shape == (None, row.size, row.size, 3)
    assert model.output_shape == (None, CLASSES)
    assert any(layer.name.endswith("_se") for layer in model.layers)
    assert getattr(models, row.builder).__doc__


@every_network
def test_network_trains_saves_and_loads(name: str, tmp_path: Path) -> None:
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
        *(case(name, "mixed_bfloat16", slow=name != "resnet" or ON_JAX) for name in TABLE),
    ],
)
def test_network_runs_in_mixed_precision(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    row = TABLE[name]
    model = row.build()
    y = model(row.images(2))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers if layer.name.endswith("_se")} == {policy[6:]}
    # A softmax in half precision would be off by a thousand times as much.
    np.testing.assert_allclose(array(y).sum(-1), 1, atol=1e-6)


# What a family does with `se`, `placement` and the layout: graphs alone, which are quick to build.

# Stems, stages and heads, in every family.
LAYER_NAMES = re.compile(
    r"(image|preprocessing|stem_?\w*|(stage|transition)\d+_\w+|final_\w+|avg_pool|flatten|hidden\w*|fc\d|dropout\d?"
    r"|logits|predictions)"
)
every_family = pytest.mark.parametrize("name", NARROW)


def se_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name.endswith("_se")]


@graphs_only
@every_family
def test_se_is_asked_for_each_place_with_its_stage(name: str) -> None:
    asked = []

    def se(stage: int) -> SqueezeExcite | None:
        asked.append(stage)
        return SqueezeExcite(4, gate="hard_sigmoid") if stage == 2 else None

    model = NARROW[name].build(se=se, r=None)
    assert tuple(asked) == NARROW[name].stages
    assert len(se_layers(model)) == asked.count(2)
    assert all(re.match(r"(stage|transition)2_", layer) for layer in se_layers(model))
    assert {model.get_layer(layer).gate for layer in se_layers(model)} <= {keras.activations.hard_sigmoid}


@graphs_only
@every_family
def test_network_without_r_has_no_se(name: str) -> None:
    assert se_layers(NARROW[name].build(r=None)) == []


@graphs_only
@every_family
def test_layers_are_named_after_their_place(name: str) -> None:
    model = NARROW[name].build()
    assert [layer.name for layer in model.layers if not LAYER_NAMES.fullmatch(layer.name)] == []


@graphs_only
@every_family
def test_channels_first_has_the_same_weights_and_maps(name: str) -> None:
    row = NARROW[name]
    last = row.build(input_shape=(row.size + 13, row.size, 3))
    keras.config.set_image_data_format("channels_first")
    first = row.build(input_shape=(3, row.size + 13, row.size))
    assert [weight.shape for weight in first.weights] == [weight.shape for weight in last.weights]
    for layer in last.layers:
        shape = layer.output.shape
        if len(shape) == 4 and layer.name.startswith("stage"):
            assert first.get_layer(layer.name).output.shape == (shape[0], shape[3], *shape[1:3]), layer.name


@graphs_only
@every_family
def test_unknown_placement_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^placement must be .* Received: placement='nowhere'$"):
        NARROW[name].build(placement="nowhere")
