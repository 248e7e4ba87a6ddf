"""For every test: quiet TensorFlow, a fixed seed, Keras settings that are restored, and rare garbage collection."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest

from tests.tiers import TIERS, tier_of

pytest.register_assert_rewrite("tests.support")


def pytest_configure(config: pytest.Config) -> None:
    # Keras 3.15 converts its variables to arrays with a protocol that numpy 2.4 has deprecated.
    message = "__array__ implementation doesn't accept a copy keyword"
    module = r"keras\.src\.backend\."
    config.addinivalue_line("filterwarnings", f"ignore:{message}:DeprecationWarning:{module}")
    for tier, what in TIERS.items():
        config.addinivalue_line("markers", f"{tier}: {what} (tests/tiers.py)")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(tier_of(item))


def pytest_collection_finish() -> None:
    """Excludes imported modules from garbage collection, which would scan them again and again: an eighth of the time.

    Few small objects of Keras and TensorFlow become garbage soon, so young objects are scanned rarely, too.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # resets the count of old objects: a full collection waits until a quarter of that count is new
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(autouse=True)
def keras_settings() -> Iterator[None]:
    policy, data_format = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(data_format)


@pytest.fixture
def no_initial_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets initial values to zero, for tests that do not use them: drawing a hundred million random numbers is slow."""
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Returns the artifact of a network of the table, for a format, a mode and options. No test may change its file."""
    from tests.support.exports import exporter  # which imports TensorFlow

    return exporter(tmp_path_factory)


@pytest.fixture(autouse=True)
def unit_tests_convert_nothing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the unit tests quick: a conversion in one of them fails, and says where to list the test."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or tier_of(request.node) != "unit":
        return

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("A unit test must not convert a model. List it under 'export' in tests/tiers.py.")

    monkeypatch.setattr(tensorflow.lite.TFLiteConverter, "convert", refuse)
    if "tf2onnx.convert" in sys.modules:
        monkeypatch.setattr("tf2onnx.convert._convert_common", refuse)
    monkeypatch.setattr(tensorflow.saved_model, "save", refuse)
