"""The tiers: their tables name places that exist, and every test has one tier."""

import pytest

from tests.support.paths import ROOT
from tests.tiers import FIXTURES, PLACES, TIERS, place_tier


def test_rows_of_the_tier_table_name_existing_places() -> None:
    assert [place for place in PLACES if not (ROOT / place).exists()] == []
    assert {*PLACES.values(), *FIXTURES.values()} <= set(TIERS)


@pytest.mark.parametrize(
    ("nodeid", "tier"),
    [
        ("tests/layers/test_squeeze.py::test_x", "unit"),
        ("tests/export/test_files.py::test_x[a]", "export"),
        ("tests/exporters.py", "unit"),
        ("tests/weights/test_pickles.py::test_x", "reference"),
    ],
)
def test_longest_row_decides_the_tier(nodeid: str, tier: str) -> None:
    assert place_tier(nodeid) == tier


def test_every_test_has_one_tier(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        assert len({mark.name for mark in item.iter_markers()} & set(TIERS)) == 1, item.nodeid
