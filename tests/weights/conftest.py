"""What tests of several files have: the networks of all families, and a checkpoint that is right."""

from collections.abc import Callable

import keras
import pytest

from tests.support.checkpoints import NETWORKS, Checkpoint, checkpoint


@pytest.fixture(scope="module")
def models() -> Callable[[str], keras.Model]:
    """The network of each family, made when a test asks for it. No test may change its values."""
    made: dict[str, keras.Model] = {}

    def model(name: str) -> keras.Model:
        if name not in made:
            made[name] = NETWORKS[name].build()
        return made[name]

    return model


@pytest.fixture(scope="module")
def good(models: Callable[[str], keras.Model]) -> Checkpoint:
    return checkpoint(NETWORKS["legacy basic"], models("legacy basic"))
