"""docs/architecture.md: the picture shows the imports as they are, the table has every folder, the files exist."""

import re
import runpy

import pytest

from tests.support.paths import ROOT

DRAWING = runpy.run_path(str(ROOT / "docs" / "draw_architecture.py"))
PAGES = [path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")) if path.name != "CHANGELOG.md"]
FILES = [f"/{path.relative_to(ROOT)}" for path in (*ROOT.glob("*.*"), *ROOT.glob("*/**/*.*")) if path.is_file()]


def test_picture_is_up_to_date() -> None:
    again = "Run `python docs/draw_architecture.py`."
    assert DRAWING["PICTURE"].read_text() == DRAWING["draw"](), again


def test_picture_has_every_folder_of_the_package() -> None:
    picture = DRAWING["PICTURE"].read_text()
    folders = {box for box in DRAWING["boxes"]() if not box.endswith(".py")}
    assert {"layers", "models", "export/tflite"} <= folders
    assert [box for box in folders if f">{box}/</text>" not in picture] == []


def test_arrows_point_down() -> None:
    graph, upward = DRAWING["import_graph"]()
    floor = {box: height for height, row in enumerate(DRAWING["floors"](graph)) for box in row}
    assert all(floor[box] > floor[other] for box, others in graph.items() for other in others)
    assert all(floor[box] < floor[other] for box, other in upward)


def test_arrows_leave_out_what_follows_from_others() -> None:
    assert DRAWING["arrows"]({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == [("a", "b"), ("b", "c")]


def test_table_has_every_folder_of_the_package() -> None:
    rows = re.findall(
        r"^\| `((?:keras_se|export)/[\w/]*)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for package in DRAWING["PACKAGES"].values()
        for path in package.rglob("__init__.py")
        if "keras_se/export" not in str(path)
    }
    assert sorted(rows) == sorted(folders)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_named_on_pages_exist(page) -> None:
    """`frontend/io_names.py`, or `io_names.py` where the text says in which folder."""
    named = set(re.findall(r"`([\w/]+\.(?:py|txt|j2))`", page.read_text()))
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in FILES)] == []
