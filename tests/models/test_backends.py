"""Every family computes the same on TensorFlow and on JAX."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.arrays import array, error
from tests.support.cases import case
from tests.support.networks import NARROW
from tests.support.networks.families import DEEP, enliven
from tests.support.paths import ROOT

OTHER = "jax"
pytestmark = pytest.mark.skipif(keras.backend.backend() == OTHER, reason="one run starts the other backend")

# Builds each network, gives it the weights of a file, and writes what it computes. Weights that are replaced at once
# need not be drawn: JAX would compile a generator for each shape.
PROGRAM = """
import sys
import keras
import numpy as np

for initializer in (keras.initializers.VarianceScaling, keras.initializers.RandomNormal):
    initializer.__call__ = lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)
from tests.support.networks import NARROW

assert keras.backend.backend() == sys.argv[1]
for name in sys.argv[3:]:
    row = NARROW[name]
    with np.load(f"{sys.argv[2]}/{name}.npz") as given:
        model = row.build(classifier_activation=None)
        assert [weight.path for weight in model.weights] == list(given)[1:]
        model.set_weights(list(given.values())[1:])
        np.save(f"{sys.argv[2]}/{name}.npy", model.predict(given["images"], verbose=0))
"""


def outputs_of_the_other(folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    """What the networks compute on the other backend, in a process of its own, of the folder's weights and images."""
    environment = {**os.environ, "KERAS_BACKEND": OTHER, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, OTHER, str(folder), *names]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return {name: np.load(folder / f"{name}.npy") for name in names}


# JAX compiles each operation for each shape that it meets: the deep networks take minutes.
SHALLOW, OFTEN = [name for name in NARROW if name not in DEEP], ["mobilenet_v3"]
REST = [name for name in DEEP if name not in OFTEN]


@pytest.mark.parametrize("names", [case([*SHALLOW, *OFTEN], id="shallow"), case(REST, slow=True, id="deep")])
def test_families_compute_the_same_on_both_backends(names: list[str], tmp_path: Path) -> None:
    expected = {}
    for name in names:
        row = NARROW[name]
        model, images = row.build(classifier_activation=None), row.images(4)
        enliven(model, row.images(16, seed=1))
        weights = {weight.path: array(weight).astype("float32") for weight in model.weights}
        np.savez(tmp_path / f"{name}.npz", images=images, **weights)
        expected[name] = array(model(images))
        assert error(expected[name][:-1], expected[name][1:]) > 0.1, f"{name} makes no difference between images"
    actual = outputs_of_the_other(tmp_path, names)
    errors = {name: error(actual[name], expected[name]) for name in names}
    assert {name: value for name, value in errors.items() if value > 1e-4} == {}
