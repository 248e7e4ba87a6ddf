"""The table of small networks: its rows build, and are what tests take them for."""

import keras
import pytest

from tests.support.networks import EXPORTED, FULL, HEADED, NARROW, NETWORKS, TOYS


def test_groups_of_networks_share_no_name() -> None:
    assert len(NETWORKS) == sum(map(len, (NARROW, FULL, EXPORTED, TOYS, HEADED)))


@pytest.mark.parametrize("name", [*EXPORTED, *TOYS, *HEADED])
def test_network_builds_and_is_small(name: str) -> None:
    model = NETWORKS[name].build()
    assert isinstance(model, keras.Model)
    assert len(model.inputs) == len(NETWORKS[name].inputs)
    assert model.count_params() < 500_000


@pytest.mark.parametrize("name", TOYS)
def test_toys_have_the_layers_that_se_goes_after(name: str) -> None:
    assert TOYS[name].se_after
    assert {layer.name for layer in TOYS[name].build().layers} >= set(TOYS[name].se_after) - {"conv2"}
