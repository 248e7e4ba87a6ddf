"""The README, the pages in docs/ and those of programs: their snippets run, and their tables agree with the package."""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from textwrap import dedent

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.catalog import NETWORKS, Network
from keras_se.export import FORMATS
from keras_se.export.formats import Format
from keras_se.models import SEResNet50
from keras_se.weights import ARCHITECTURES
from tests.support import checkpoints
from tests.support.cases import case
from tests.support.paths import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS)}
PAGES |= {f"{name}/README.md": (ROOT / name / "README.md").read_text() for name in ("examples", "benchmarks")}
README = PAGES["README.md"]
MOST_WORDS = {"README.md": 1000, "CONTRIBUTING.md": 900}
LONGEST_LINE = 130  # but in tables
TRAINING = ("weights.md", "segmentation.md", "detection.md", "generation.md")  # half a minute each
EACH_PAGE = pytest.mark.parametrize("page", PAGES)


def snippets(page: str, language: str) -> list[str]:
    """Snippets in lists are indented."""
    found = re.findall(rf"^( *```{language}\n.*?)^ *```", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    return [dedent(text).split("\n", 1)[1] for text in found]


def prose(page: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    return [line for text in snippets(page, "bash") for line in text.splitlines()]


@EACH_PAGE
def test_every_snippet_is_of_a_kind_that_is_tested(page: str) -> None:
    assert set(re.findall(r"^ *```(\w+)$", PAGES[page], flags=re.MULTILINE)) <= {"python", "bash", "text"}
    assert all(line.split()[0] in ("pip", "make", "keras-se") for line in commands(page))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine without a network, where huggingface_hub's cache has the weights of the README.

    They are random: the trained ones are not in this repository.
    """
    keras.utils.set_random_seed(0)
    home = tmp_path_factory.mktemp("home")
    folder = home / "hub" / "models--timm--legacy_seresnet50.in1k"
    snapshot = folder / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(snapshot.name)
    variables = checkpoints.values(SEResNet50())
    rows = checkpoints.residual((3, 4, 6, 3), 3, checkpoints.LEGACY_STEM, projected=1, **checkpoints.LEGACY)
    tensors = {row.source: checkpoints.IN_PYTORCH[row.kind](variables[row.ours]) for row in rows}
    checkpoints.write_folder(snapshot, tensors, {"architecture": "legacy_seresnet50", "num_classes": 1000})
    return {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}


@pytest.mark.parametrize(
    "page",
    [case(page, slow=page in TRAINING) for page in PAGES if snippets(page, "python")],
)
def test_python_snippets_run(page: str, tmp_path: Path, hub: dict[str, str]) -> None:
    """One after the other in one process, as a reader who types them in would have it."""
    program = "\n".join(snippets(page, "python"))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), "uint8")).save(tmp_path / "cat.jpg")
    # One snippet says that it warns.
    quiet = "import warnings, keras_se.weights as w; warnings.simplefilter('ignore', w.NewClassifierWarning)"
    command = [sys.executable, "-W", "error::UserWarning", "-c", f"{quiet}\n{program}"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **hub}, check=True)
    assert (tmp_path / "model_int8.tflite").is_file() or page != "README.md"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(line.startswith("keras-se") for line in commands(page))]
)
def test_commands_run(page: str, tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    for line in (line for line in commands(page) if line.startswith("keras-se")):
        done = subprocess.run(
            shlex.split(line), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def targets(page: str) -> set[str]:
    """What a page has `make` make."""
    given = [line.removeprefix("make ") for line in commands(page) if line.startswith("make ")]
    given += re.findall(r"`make ([\w -]+)`", PAGES[page])
    return {word for words in given for word in words.split()}


def extras(page: str) -> set[str]:
    """What a page has pip install besides, `pip install '.[…]'` or `.[…]`."""
    return {name for names in re.findall(r"\.\[([\w,-]+)\]", PAGES[page]) for name in names.split(",")}


@EACH_PAGE
def test_make_targets_and_extras_exist(page: str) -> None:
    makefile, setup = (ROOT / "Makefile").read_text(), (ROOT / "setup.py").read_text()
    table = setup.split("extras_require={")[1].split("}")[0]
    assert targets(page) <= set(re.findall(r"^([\w-]+):", makefile, flags=re.MULTILINE))
    assert extras(page) <= set(re.findall(r'"([\w-]+)":', table))


def test_make_targets_and_extras_are_found_on_pages() -> None:
    tests = {"check", "test", "test-networks", "test-programs", "test-reference", "test-slow"}
    assert targets("README.md") == {*tests, "demo", "bench"}
    assert targets("performance.md") == {"bench", "demo"}
    assert extras("README.md") == {"export"}
    assert extras("weights.md") == {"export", "weights"}
    assert extras("formats.md") == {"ethos-u"}
    assert extras("examples/README.md") == {"demo"}


def test_no_snippet_is_on_two_pages() -> None:
    """One has it, and the other a link."""
    found = Counter(text for page in PAGES for kind in ("python", "bash") for text in set(snippets(page, kind)))
    assert [text for text, count in found.items() if count > 1] == []


@EACH_PAGE
def test_lines_are_not_too_long_to_read(page: str) -> None:
    lines = PAGES[page].splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE and not line.startswith("|")] == []


@pytest.mark.parametrize("page", MOST_WORDS)
def test_front_pages_are_short(page: str) -> None:
    words = (prose(page) if page == "CONTRIBUTING.md" else PAGES[page]).split()
    assert len(words) <= MOST_WORDS[page]


def row_of(network: Network) -> str:
    share = network.se_parameters / (network.parameters - network.se_parameters)
    size, gmacs = f"{network.size}x{network.size}", f"{network.macs / 1e9:.3f}"
    parameters = f"{network.parameters:,} | {network.se_parameters:,} | {share:.1%}"
    return f"| `{network.builder}` | {size} | {parameters} | {gmacs} |"


def rows_of_networks(page: str) -> list[str]:
    return re.findall(r"^\| `SE\w+` \| \d+x\d+ \|.*$", PAGES[page], flags=re.MULTILINE)


def test_table_of_networks() -> None:
    assert rows_of_networks("networks.md") == [row_of(network) for network in NETWORKS]


def test_front_page_has_a_handful_of_networks() -> None:
    rows = rows_of_networks("README.md")
    assert len(rows) == 5
    assert set(rows) <= set(rows_of_networks("networks.md"))
    assert f"Five of {len(NETWORKS)}:" in README


def modes_of(row: Format) -> str:
    return ", ".join(mode or "float32" for mode in row.modes)


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
def test_table_of_formats(row: Format) -> None:
    line = f"| {row.name} | `*{row.suffix}` | {row.runtime} | {modes_of(row)} | {row.used_for} |"
    assert line in PAGES["formats.md"]


def test_front_page_has_every_format() -> None:
    table = README.split("| format | for |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"\| ([\w, ]+) \|$", table, flags=re.MULTILINE)) == sorted(map(modes_of, FORMATS.values()))


def test_figures_on_the_front_page_are_those_of_the_docs() -> None:
    """A row on the front page lacks some columns, or the second of two figures."""
    measured = PAGES["performance.md"]
    for line in re.findall(r"^\| (?:digits|SE-).*$", README, flags=re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows = [row for row in measured.splitlines() if row.startswith(f"| {cells[0]} |")]
        assert any(all(cell in row for cell in cells) for row in rows), line


@pytest.mark.parametrize("folder", ["examples", "benchmarks"])
def test_every_program_has_a_line(folder: str) -> None:
    listed = re.findall(r"^\| \[`(\w+\.py)`\]\(", PAGES[f"{folder}/README.md"], flags=re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / folder).glob("*.py"))


WEIGHTS = PAGES["weights.md"]
HUB = re.findall(r"^\| `hf://timm/([\w.]+)` \| `(\w+)`", WEIGHTS, flags=re.MULTILINE)


def test_table_of_the_hub_has_every_row() -> None:
    table = WEIGHTS.split("| on the hub |")[1].split("\n\n")[0]
    assert len(HUB) == table.count("\n") - 1  # but for the rule
    assert set(re.findall(r"timm/(\w+)\.", "\n".join(PAGES.values()))) <= set(ARCHITECTURES)


@pytest.mark.parametrize(("name", "builder"), HUB)
def test_table_of_the_hub(name: str, builder: str) -> None:
    """An address is an architecture, a dot, and how it was trained."""
    architecture, _, training = name.partition(".")
    assert re.fullmatch(r"(\w+_)?in1k", training)
    assert ARCHITECTURES[architecture][0] == builder


def anchors(text: str) -> set[str]:
    """What links can point to on a page: its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH_PAGE
def test_links_and_pictures_exist(page: str) -> None:
    here = ROOT / "docs" / page if (ROOT / "docs" / page).is_file() else ROOT / page
    for target, _, anchor in re.findall(r"\]\((?!http)([^)#]*)(#([\w-]+))?\)", PAGES[page]):
        there = here.parent / target if target else here
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), f"{target}#{anchor}"


@EACH_PAGE
def test_nothing_is_left_to_be_filled_in(page: str) -> None:
    assert "<!--" not in PAGES[page]
