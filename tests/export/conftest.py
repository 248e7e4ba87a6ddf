"""What the tests of the exports share: files that are written once, and read by many tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keras_se.export import FORMATS, Artifact
from tests.support.networks.exported import sample

CALIBRATED = ("int8", "int16x8", "selective")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Artifact]:
    """Returns the artifact of a network of the table, for a format, a mode and options. No test may change its file."""
    made: dict[Any, Artifact] = {}

    def export_once(name: str, format: str, quantize: str | None = None, **options: Any) -> Artifact:
        key = (name, format, quantize, *sorted(options.items()))
        if key not in made:
            network = sample(name)
            path = tmp_path_factory.mktemp(f"{name}_{format}") / f"model{FORMATS[format].suffix}"
            if quantize in CALIBRATED:
                options["calibration_data"] = network.data
            if quantize:
                options["quantize"] = quantize
            made[key] = FORMATS[format].convert(network.model, path, **options)
        # Another artifact each time, of the same file: once it has run, it holds its runtime, which fills the memory.
        return replace(made[key])

    return export_once
