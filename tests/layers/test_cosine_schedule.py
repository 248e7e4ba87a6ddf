"""The cosine schedule, against the paper's formula in float64."""

import numpy as np

from keras_se.layers import cosine_schedule
from tests.support import numpy_diffusion
from tests.support.arrays import array


def test_it_is_the_papers() -> None:
    time = np.linspace(0, 1, 1001)
    for actual, expected in zip(cosine_schedule(time.astype("float32")), numpy_diffusion.schedule(time), strict=True):
        np.testing.assert_allclose(array(actual), expected, atol=1e-6)


def test_the_ends_keep_their_digits() -> None:
    """Near 0 the noise is small, near 1 the signal: as differences they would have lost most digits in float32."""
    near = np.float32(2.0**-12)
    expected = numpy_diffusion.schedule(near)[1], numpy_diffusion.schedule(1 - near)[0]
    actual = array(cosine_schedule(near)[1]), array(cosine_schedule(1 - near)[0])
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert [float(array(x)) for time in (0.0, 1.0) for x in cosine_schedule(time)] == [1.0, 0.0, 0.0, 1.0]


def test_signal_and_noise_have_a_variance_of_one() -> None:
    signal, noise = map(array, cosine_schedule(np.linspace(0, 1, 101, dtype="float32")))
    np.testing.assert_allclose(signal**2 + noise**2, 1, atol=1e-6)
    assert (np.diff(signal) < 0).all()
    assert (np.diff(noise) > 0).all()
