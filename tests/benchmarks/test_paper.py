"""What networks cost beside the paper's figures, and docs/paper.md.

test_counts.py holds that the catalog, which these tests read, says what is built.
"""

import importlib.util
import sys
from functools import cache

import pytest

from keras_se.catalog import NETWORKS
from tests.support.paths import BENCHMARKS

SCRIPT = BENCHMARKS / "paper.py"
SPEC = importlib.util.spec_from_file_location("paper", SCRIPT)
paper = importlib.util.module_from_spec(SPEC)
sys.modules["paper"] = paper
SPEC.loader.exec_module(paper)

ablated = cache(paper.ablated)
pytestmark = pytest.mark.usefixtures("no_initial_values")  # weights are counted, and not used
CATALOG = {network.builder: network for network in NETWORKS}


def counts(builder: str) -> "paper.Counts":
    network = CATALOG[builder]
    plain = network.parameters - network.se_parameters, network.macs - network.se_macs
    return paper.Counts(*plain, network.parameters, network.macs)


@pytest.mark.parametrize("figures", paper.PAPER, ids=lambda figures: figures.builder)
def test_multiply_accumulates_are_the_papers(figures) -> None:
    assert paper.agrees(figures, counts(figures.builder))


def test_a_network_that_costs_more_would_be_seen() -> None:
    (figures,) = (row for row in paper.PAPER if row.builder == "SEResNet50")
    ours = counts("SEResNet50")
    assert not paper.agrees(figures, ours._replace(macs=round(ours.macs * 1.012)))
    assert not paper.agrees(figures, ours._replace(se_macs=round(ours.se_macs * 1.012)))


@pytest.mark.parametrize("row", paper.ABLATIONS, ids=lambda row: row.what)
def test_parameters_of_the_ablations_are_the_papers(row) -> None:
    assert paper.ablation_agrees(row, ablated(row))


def test_the_document_says_what_is_counted() -> None:
    text = paper.document(paper.networks_table(counts), paper.ablations_table(ablated))
    assert paper.DOCUMENT.read_text() == text
