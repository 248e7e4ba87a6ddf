"""SqueezeExcite against squeeze-and-excitation in NumPy, over everything that can be chosen."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_se import SqueezeExcite
from tests.support.arrays import array, channels_last, error
from tests.support.numpy_se import gates_in_numpy, scale_in_numpy, squeeze_in_numpy, weights_in_numpy


def _squeeze(name: str, data_format: str, rank: int) -> str | Callable[..., Any]:
    """The layer's argument for a squeeze of the oracle."""
    if name == "mean_square":  # a callable of the inputs alone, which returns (batch, channels)
        axes = tuple(range(2, rank)) if data_format == "channels_first" else tuple(range(1, rank - 1))
        return lambda x: keras.ops.mean(x * x, axis=axes)
    return {"std": keras.ops.std, "logsumexp": keras.ops.logsumexp}.get(name, name)


@st.composite
def cases(draw: Callable) -> dict[str, Any]:
    # Few sizes, because JAX compiles every operation for every shape.
    spatial = tuple(draw(st.lists(st.sampled_from([1, 2, 5]), min_size=1, max_size=3)))
    channels = draw(st.sampled_from([1, 2, 3, 6, 8]))
    masked = draw(st.booleans())
    gates = ["sigmoid", "hard_sigmoid", "tanh", "relu"] + ["softmax"] * (channels > 1)  # Keras warns of it over one
    return {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "shape": (2, *spatial, channels),
        "masked": masked,
        "squeeze": draw(
            st.sampled_from(["avg", "max"] if masked else ["avg", "max", "std", "logsumexp", "mean_square"])
        ),
        "options": {
            "r": draw(st.sampled_from([1, 2, 3, 16])),
            "bottleneck": draw(st.sampled_from([None, None, 1, 4])),
            "divisor": draw(st.integers(1, 4)),
            "activation": draw(st.sampled_from(["relu", "tanh", "silu", "elu", "linear"])),
            "gate": draw(st.sampled_from(gates)),
            "use_bias": draw(st.booleans()),
            "data_format": draw(st.sampled_from(["channels_last", "channels_first"])),
        },
    }


# JAX compiles every operation once for each shape that it meets.
@settings(max_examples=100 if keras.backend.backend() == "jax" else 300, deadline=None)
@given(case=cases())
def test_computes_what_numpy_computes(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    options, shape = case["options"], case["shape"]
    x = rng.normal(size=shape).astype("float32")
    mask = rng.random(shape[:-1]) < 0.5 if case["masked"] else None
    layer = SqueezeExcite(squeeze=_squeeze(case["squeeze"], options["data_format"], len(shape)), **options)
    inputs = np.moveaxis(x, -1, 1) if options["data_format"] == "channels_first" else x
    layer.build(inputs.shape)
    weights = weights_in_numpy(layer, case["seed"])

    z = squeeze_in_numpy(x.astype("float64"), case["squeeze"], mask)
    gates = gates_in_numpy(z, weights, options["activation"], options["gate"])
    expected = scale_in_numpy(x.astype("float64"), gates)
    assume(np.abs(expected).max() > 0.05 * np.abs(x).max())  # a small difference of large numbers has fewer digits

    actual = channels_last(array(layer(inputs, mask=mask)), options["data_format"])
    assert error(actual, expected) < 1e-5
    assert error(array(layer.excitation(inputs, mask)), gates) < 1e-5
