"""Folders for microcontrollers, which are written once."""

from collections.abc import Callable
from typing import Any

import pytest

from keras_se.export import Artifact


@pytest.fixture(scope="session")
def micro(exported: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """Returns the folder of a network of the table, for a mode. No test may change it."""

    def export_once(name: str, mode: str | None = "int8", **options: Any) -> Artifact:
        return exported(name, "microcontroller", mode, **{"name": name, **options})

    return export_once
