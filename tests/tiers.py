"""The tiers of the tests, in one table: which test is in which tier.

The mark of a test sets its tier (`@pytest.mark.reference`). Without a mark, its fixtures and its path set it. The mark
`slow` is independent of tiers: such a test takes long, or repeats another test at more depth or width.

- `make check` runs the unit tests;
- `make test` runs unit and export, without PyTorch, OpenVINO, Vela or another environment;
- `make test-networks`, `make test-programs` and `make test-reference` run the others;
- `make test-slow` runs the slow tests of every tier.
"""

import pytest

# From the quickest to the slowest. If a fixture and the path name two tiers, the later one counts.
TIERS = {
    "unit": "takes a moment: no conversion, no training of a whole network",
    "networks": "builds, trains, saves and loads whole networks",
    "export": "converts models, or runs the examples of docstrings",
    "programs": "runs whole programs: examples, benchmarks, the snippets of the docs, other backends, killed exports",
    "reference": "compares with timm, keras.applications, PyTorch, OpenVINO, Vela, or what boards run",
}
# Fixtures that convert models, or that start another environment.
FIXTURES = {"exported": "export", "timm": "reference"}
# The longest row that matches the path of a test counts.
PLACES = {
    "tests": "unit",
    "tests/benchmarks": "programs",
    "tests/docs/test_docstrings.py": "export",
    "tests/docs/test_readme.py": "programs",
    "tests/examples": "programs",
    "tests/export": "export",
    "tests/export/frontend/test_backend_process.py": "programs",
    "tests/export/test_kills.py": "programs",
    "tests/export/test_same_bytes.py": "programs",
    "tests/insert/test_applications.py": "reference",
    "tests/insert/test_insert.py": "networks",
    "tests/insert/test_segmentation.py": "networks",
    "tests/models/_shared/test_network.py": "networks",
    "tests/models/detection/test_detection.py": "networks",
    "tests/models/families": "networks",
    "tests/models/segmentation": "networks",
    "tests/models/test_family_contract.py": "networks",
    "tests/models/test_keras_applications.py": "networks",
    "tests/models/test_pyramid.py": "networks",
    "tests/models/generative/test_exports.py": "export",
    "tests/models/generative/test_learning.py": "programs",
    "tests/models/test_backends.py": "programs",
    "tests/models/test_heads.py": "export",
    "tests/reference": "reference",
    "tests/test_packaging.py": "programs",
    "tests/prune": "networks",
    "tests/weights/test_assign.py": "networks",
    "tests/weights/test_classify.py": "networks",
    "tests/weights/test_keras_files.py": "networks",
    "tests/weights/test_keras_weights.py": "reference",
    "tests/weights/test_pickles.py": "reference",
}


def tier_of(item: pytest.Item) -> str:
    """The tier of a test: that of its mark, or else the latest of the tiers of its fixtures and its path."""
    marked = [tier for tier in TIERS if item.get_closest_marker(tier)]
    used = [FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES]
    return marked[0] if marked else max(*used, place_tier(item.nodeid), "unit", key=list(TIERS).index)


def place_tier(nodeid: str) -> str:
    """The tier of the longest row of `PLACES` that a test is under."""
    path = nodeid.split("::")[0]
    return PLACES[max((place for place in PLACES if f"{path}/".startswith(f"{place}/")), key=len)]
