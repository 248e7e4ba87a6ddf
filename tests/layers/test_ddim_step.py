"""A step of DDIM against the paper's equation in float64."""

import numpy as np
import pytest

from keras_se.layers import DDIMStep
from tests.support import numpy_diffusion
from tests.support.arrays import array, error
from tests.support.layer_contract import constructor_arguments

SHAPE = (4, 4, 2)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *SHAPE)).astype("float32")


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize(("time", "next_time"), [(1.0, 0.96), (0.7, 0.2), (0.04, 0.0), (0.5, 0.5), (1.0, 0.0)])
def test_a_step_is_the_papers(time: float, next_time: float, clip: bool) -> None:
    x, velocity = noise(3), np.random.default_rng(1).standard_normal((3, *SHAPE)).astype("float32")
    columns = [np.full((3, 1), value, "float32") for value in (time, next_time)]
    actual = array(DDIMStep(clip=clip)([x, velocity, *columns]))
    expected = numpy_diffusion.step(
        *(np.float64(part) for part in (x, velocity, np.float32(time), np.float32(next_time))), clip
    )
    assert error(actual, expected) < 2e-6


def test_each_sample_has_its_own_times() -> None:
    x, velocity, times = noise(3), noise(3)[::-1], np.array([[0.9], [0.5], [0.2]], "float32")
    together = array(DDIMStep()([x, velocity, times, times / 2]))
    for i in range(3):
        one = array(DDIMStep()([part[i : i + 1] for part in (x, velocity, times, times / 2)]))
        np.testing.assert_allclose(together[i : i + 1], one, atol=1e-6)


def test_config_of_the_layer() -> None:
    layer = DDIMStep(clip=False, name="step")
    config = layer.get_config()
    assert DDIMStep.from_config(config).get_config() == config
    assert set(config) == constructor_arguments(DDIMStep) | {"name", "trainable", "dtype"}
    assert layer.compute_output_shape([(None, 8, 8, 1), (None, 8, 8, 1), (None, 1), (None, 1)]) == (None, 8, 8, 1)


IMAGE, TIME = (None, 8, 8, 1), (None, 1)


@pytest.mark.parametrize(
    "shapes",
    [
        IMAGE,
        [IMAGE, IMAGE, TIME],
        [IMAGE, IMAGE, TIME, TIME, TIME],
        [IMAGE, (None, 8, 8, 3), TIME, TIME],
        [IMAGE, (None, 8, 4, 1), TIME, TIME],
        [IMAGE, IMAGE, TIME, (None,)],
        [IMAGE, IMAGE, (None, 2), TIME],
        [TIME, TIME, IMAGE, IMAGE],
        [(None, 8, 8), (None, 8, 8), TIME, TIME],
    ],
)
def test_other_inputs_are_refused(shapes: object) -> None:
    for check in (DDIMStep().build, DDIMStep().compute_output_shape):
        with pytest.raises(ValueError, match=r"^DDIMStep requires four inputs, .* \(batch, 1\)\. Received: ") as caught:
            check(shapes)
        assert str(caught.value).endswith(f"input_shape={shapes}")


def test_sizes_may_be_unknown() -> None:
    images = (None, None, None, 1)
    assert DDIMStep().compute_output_shape([images, IMAGE, TIME, (None, None)]) == images


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^DDIMStep requires four inputs, .* Received: input_shape="):
        DDIMStep()([noise(2), noise(2)[..., :1], np.ones((2, 1), "float32"), np.zeros((2, 1), "float32")])
