"""The denoising network: its shapes and names, where SE sits, and what its output depends on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite, complexity, insert_se
from keras_se.models.generative import SEDiffusionUNet
from tests.support.arrays import array, error, randomise

OTHER = "jax"


def small(shape: tuple = (8, 8, 2), classes: int | None = 3, **options: Any) -> keras.Model:
    model = SEDiffusionUNet(shape, classes, **({"filters": (4, 6), "depths": (1, 2)} | options))
    randomise(model)
    return model


def inputs(model: keras.Model, count: int = 4, size: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    found = {"image": rng.standard_normal((count, size, size, 2)), "time": rng.uniform(size=(count, 1))}
    if "label" in model.input:
        found["label"] = np.eye(3)[rng.integers(0, 3, count)]
    return {name: values.astype("float32") for name, values in found.items()}


def se_names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name.endswith("_se")]


# Shapes and names


@pytest.mark.parametrize("classes", [3, None])
@pytest.mark.parametrize("size", [8, None])
def test_inputs_and_output(size: int | None, classes: int | None) -> None:
    model = small((size, size, 2), classes)
    labels = {} if classes is None else {"label": (None, 3)}
    shape = (None, size, size, 2)
    assert {name: x.shape for name, x in model.input.items()} == {"image": shape, "time": (None, 1), **labels}
    assert model.output_shape == shape
    assert tuple(model(inputs(model, size=12 if size is None else 8)).shape) == (4, *(size or 12,) * 2, 2)


@pytest.mark.parametrize(("filters", "depths"), [((4,), (2,)), ((4, 6), (1, 1)), ((2, 4, 6), (1, 2, 1))])
def test_stages(filters: tuple[int, ...], depths: tuple[int, ...]) -> None:
    """Down with half the size in each stage, and back with the same widths and depths."""
    model = small(filters=filters, depths=depths)
    count = len(filters)
    down = [(8 // 2**i, filters[i], depths[i]) for i in range(count)]
    for stage, (size, width, depth) in enumerate([*down, *down[-2::-1]], start=1):
        found = [
            layer for layer in model.layers if layer.name.startswith(f"stage{stage}_block") and "_add" in layer.name
        ]
        assert [layer.output.shape for layer in found] == [(None, size, size, width)] * depth
    assert not [layer.name for layer in model.layers if layer.name.startswith(f"stage{2 * count}")]


def test_names_do_not_depend_on_what_was_built_before() -> None:
    first, second = ([weight.path for weight in small().weights] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)
    names = [layer.name for layer in small().layers]
    assert {"image", "time", "label", "time_embedding", "stem_conv", "stage3_up", "velocity"} <= set(names)


# SE

PLACES = {
    "standard": {"stage1_block1": 4, "stage2_block1": 6, "stage2_block2": 6, "stage3_block1": 4},
    "pre": {"stage1_block1": 4, "stage2_block1": 4, "stage2_block2": 6, "stage3_block1": 8},
    "post": {"stage1_block1": 4, "stage2_block1": 6, "stage2_block2": 6, "stage3_block1": 4},
    "identity": {"stage1_block1": 4, "stage2_block1": 6, "stage2_block2": 6, "stage3_block1": 4},
}
BEFORE = {"standard": "_conv2_bn", "post": "_silu"}


@pytest.mark.parametrize("placement", PLACES)
def test_placements(placement: str) -> None:
    model = small(r=2, placement=placement)
    found = {layer.name: layer.output.shape[-1] for layer in model.layers if isinstance(layer, SqueezeExcite)}
    assert found == {f"{block}_se": width for block, width in PLACES[placement].items()}
    for block in PLACES[placement]:
        before = model.get_layer(f"{block}_se").input._keras_history.operation.name
        if placement in BEFORE:
            assert before == f"{block}{BEFORE[placement]}"
    assert np.isfinite(array(model(inputs(model)))).all()


def test_without_se_it_is_the_same_network_but_for_se() -> None:
    plain, excited = small(r=None), small(r=2)
    assert se_names(plain) == []
    names = {layer.name for layer in excited.layers} - set(se_names(excited))
    assert {layer.name for layer in plain.layers} == names
    added = sum(2 * width * (width // 2) + width + width // 2 for width in PLACES["standard"].values())
    assert excited.count_params() - plain.count_params() == added
    assert complexity(excited).se_parameters == added


def test_any_other_excitation_by_stage() -> None:
    kinds = {1: SpatialSqueezeExcite, 2: None, 3: lambda: ConcurrentSqueezeExcite(2)}
    model = small(se=lambda stage: kinds[stage] and kinds[stage]())
    assert {name: type(model.get_layer(name)) for name in se_names(model)} == {
        "stage1_block1_se": SpatialSqueezeExcite,
        "stage3_block1_se": ConcurrentSqueezeExcite,
    }
    hard = small(se=lambda stage: SqueezeExcite(2, gate="hard_sigmoid"))
    assert np.isfinite(array(hard(inputs(hard)))).all()


def test_se_can_be_put_into_the_plain_one() -> None:
    plain = small(r=None)
    excited = insert_se(plain, r=2)
    assert len(se_names(excited)) == 4
    np.testing.assert_allclose(array(excited(inputs(plain))), array(plain(inputs(plain))), atol=1e-5)


def test_another_activation() -> None:
    names = {layer.name for layer in small(activation="relu").layers}
    assert {"stem_conv_relu", "stage1_block1_conv1_relu", "stage3_block1_relu"} <= names
    assert not [name for name in names if "silu" in name]


# What it computes


def test_the_output_depends_on_every_input() -> None:
    model = small()
    given = inputs(model)
    before = array(model(given))
    for name in given:
        other = dict(given)
        other[name] = given[name][::-1] if name == "image" else 1 - given[name]
        assert error(array(model(other)), before) > 0.01, name


def test_samples_do_not_depend_on_each_other() -> None:
    model = small()
    given = inputs(model)
    one = array(model({name: values[1:2] for name, values in given.items()}))
    np.testing.assert_allclose(array(model(given))[1:2], one, atol=1e-5)


def test_saves_and_loads(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # in safe mode, which is the default
    np.testing.assert_array_equal(array(loaded(inputs(model))), array(model(inputs(model))))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy: str) -> None:
    exact = small()
    keras.config.set_dtype_policy(policy)
    model = small()
    model.set_weights(exact.get_weights())
    y = model(inputs(model))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("time_embedding").compute_dtype == "float32"
    assert model.get_layer("stage1_block1_conv1").compute_dtype == policy[6:]
    assert error(array(y), array(exact(inputs(model)))) < (0.02 if "bfloat16" not in policy else 0.15)


def test_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    model = SEDiffusionUNet((2, 8, 8), 3, filters=(4, 6), depths=(1, 1))
    assert model.output_shape == (None, 2, 8, 8)
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first convolution on a CPU: built, not run")
    last = inputs(model)
    first = last | {"image": np.moveaxis(last["image"], -1, 1)}
    y = array(model(first))
    weights = model.get_weights()
    keras.config.set_image_data_format("channels_last")
    other = SEDiffusionUNet((8, 8, 2), 3, filters=(4, 6), depths=(1, 1))
    other.set_weights(weights)
    assert error(np.moveaxis(y, 1, -1), array(other(last))) < 1e-4


# Weights that are replaced at once need not be drawn: JAX would compile a generator for each shape.
PROGRAM = """
import sys
import keras
import numpy as np

for initializer in (keras.initializers.VarianceScaling, keras.initializers.RandomNormal):
    initializer.__call__ = lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)
from keras_se.models.generative import SEDiffusionUNet, sample, step_model

assert keras.backend.backend() == sys.argv[1]
with np.load(sys.argv[2]) as given:
    model = SEDiffusionUNet((8, 8, 2), 3, filters=(4, 6), depths=(1, 2))
    assert [weight.path for weight in model.weights] == list(given)[2:]
    model.set_weights(list(given.values())[2:])
    np.save(sys.argv[3], sample(step_model(model), given["noise"], given["label"], steps=2))
"""


@pytest.mark.programs
@pytest.mark.skipif(keras.backend.backend() == OTHER, reason="one run starts the other backend")
def test_the_other_backend_makes_the_same_images(tmp_path: Path) -> None:
    from keras_se.models.generative import sample, step_model

    model = small()
    given = {"noise": np.random.default_rng(0).standard_normal((3, 8, 8, 2)).astype("float32"), "label": np.eye(3)}
    np.savez(tmp_path / "given.npz", **given, **{weight.path: array(weight) for weight in model.weights})
    command = [sys.executable, "-c", PROGRAM, OTHER, tmp_path / "given.npz", tmp_path / "found.npy"]
    done = subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": OTHER}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = sample(step_model(model), given["noise"], given["label"], steps=2)
    assert error(np.load(tmp_path / "found.npy"), expected) < 1e-4


# Errors

THREE = {"filters": (4, 6, 8), "depths": (1, 1, 1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shape": (8, 10, 2), "filters": (4, 6, 8), "depths": (1, 1, 1)},
            r"divisible by 4: 3 stages halve them 2",
        ),
        (
            {"shape": (8, 8)},
            r"input_shape must be \(height, width, channels\).*Received: input_shape of shape \(8, 8\)",
        ),
        ({"classes": 0}, r"classes must be a positive integer\. Received: classes=0"),
        ({"filters": (4,)}, r"depths and filters must have a number for every stage\. Received: depths=\(1, 2\)"),
        ({"r": 0}, r"r must be a positive integer\. Received: r=0"),
        ({"placement": "3x3"}, r"placement must be one of 'standard', 'pre', 'post', 'identity' in this network"),
        ({"se": SqueezeExcite}, r"se must be a function from the stage to a new layer or None"),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)
