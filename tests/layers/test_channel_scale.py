"""The layer that multiplies each channel by a weight."""

from pathlib import Path

import numpy as np
import pytest

from keras_se.layers import ChannelScale
from tests.support.arrays import array
from tests.support.layer_contract import check_layer


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 3, 5, 4), (2, 3, 2, 5, 4)])
def test_contract(shape: tuple, tmp_path: Path) -> None:
    check_layer(ChannelScale, shape, tmp_path)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_each_channel_times_its_weight(data_format: str) -> None:
    rng = np.random.default_rng(0)
    x, scale = rng.normal(size=(2, 3, 5, 4)).astype("float32"), rng.normal(size=4).astype("float32")
    layer = ChannelScale(data_format=data_format)
    given = np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    np.testing.assert_array_equal(array(layer(given)), given)
    layer.set_weights([scale])
    actual = array(layer(given))
    np.testing.assert_allclose(
        np.moveaxis(actual, 1, -1) if data_format == "channels_first" else actual, x * scale, rtol=1e-6
    )


def test_refuses_another_data_format() -> None:
    with pytest.raises(ValueError, match=r"^data_format must be .* Received: data_format='first'$"):
        ChannelScale(data_format="first")
