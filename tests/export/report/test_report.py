"""The report: a whole page, of the files' own numbers, that loads nothing and shows strangers' names as text."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from rich.filesize import decimal

from keras_se import SqueezeExcite, cli, complexity
from keras_se.excitation import Gates
from keras_se.export import Artifact, export, write_report
from keras_se.export.inspect import inspect
from keras_se.export.report.gates import Block
from keras_se.export.report.plots import Point, histogram, scatter
from keras_se.weights import Preprocessing
from tests.support.networks import sample

VOID = {"meta", "br", "img", "input", "link", "hr", "use", "path", "rect"}
# Elements that a page of text, tables and pictures is made of: nothing that runs, and nothing that loads.
TAGS = re.compile(
    "html|head|meta|title|style|body|main|header|section|h1|h2|h3|p|dl|dt|dd|div|span|small|br|i|"
    "table|thead|tbody|tfoot|tr|th|td|figure|figcaption|details|summary|svg|g|defs|path|use|text|clippath|rect"
)
HOSTILE = '<img src="x" onerror=alert(1)>&amp;\u202e\x07'


class Page(HTMLParser):
    """A page's elements, attributes and text; raises for tags that are not closed, or closed twice."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def check_page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    page = Page(text)
    assert [tag for tag, _ in page.elements if not TAGS.fullmatch(tag)] == []
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert not {"src", "srcset", "data", "action", "xlink:href"} & set(attributes)
        assert attributes.get("href", "#").removeprefix("#") in ["", *identifiers]
        assert set(re.findall(r"url\(#([^)]*)\)", " ".join(map(str, attributes.values())))) <= set(identifiers)
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert "@import" not in text
    policy = [attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    return page


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory):
    """A folder with files and their report, the artifacts, and labelled data that the model gets three quarters of."""
    folder = tmp_path_factory.mktemp("reported")
    network = sample("se_resnet")
    x = next(iter(network.feeds.values()))
    y = network.expected["predictions"].argmax(-1)
    y[: len(y) // 4] = (y[: len(y) // 4] + 1) % 10
    artifacts = export(
        network.model,
        folder,
        ("tflite", "onnx"),
        quantize=(None, "int8"),
        calibration_data=x,
        report=True,
        evaluation_data=(x, y),
    )
    return folder, artifacts, x, y


def test_the_page_has_every_file_and_every_block(reported) -> None:
    folder, artifacts, _, _ = reported
    assert len(artifacts) == 4
    page = check_page(folder / "se_resnet_report.html")
    for artifact in artifacts:
        assert page.text.count(artifact.path.name) >= 2  # in the table, and where its operations are
        for row in inspect(artifact.path).rows:
            assert f" {row.kind} {row.count} " in page.text
    blocks = [layer.name for layer in sample("se_resnet").model.layers if isinstance(layer, SqueezeExcite)]
    assert len(blocks) == 2
    for name in blocks:
        assert f" {name} SqueezeExcite " in page.text
    pictures = [tag for tag, _ in page.elements if tag == "svg"]
    assert len(pictures) == 2 + len(blocks)
    for package in ("keras", "tensorflow", "ai-edge-litert", "onnxruntime"):
        assert re.search(rf"{package} \d+\.\d+", page.text)


def test_numbers_are_those_of_the_artifacts(reported) -> None:
    folder, artifacts, x, y = reported
    text = check_page(folder / "se_resnet_report.html").text
    floats = {artifact.format: artifact.size for artifact in artifacts if artifact.quantize is None}
    for artifact in artifacts:
        parity = artifact.parity
        right = np.mean(artifact.predict(x).argmax(-1) == y)
        row = text[text.index(artifact.path.name) :]
        row = row[: row.index("verified")]
        assert f" {decimal(artifact.size)} " in row
        if artifact.quantize:
            assert f" {artifact.size / floats[artifact.format]:.0%}".replace("%", " %") in row
        assert f" {right:.2%}".replace("%", " %") in row
        assert f" {parity.error:.1e} {parity.tolerance:.1e} {parity.cosine:.6f} " in row
        assert re.search(r" \d+\.\d\d \d+\.\d\d.\d+\.\d\d ", row)  # milliseconds
    cost = complexity(sample("se_resnet").model)
    assert f"{cost.parameters:,}" in text
    assert f"{cost.se_parameters / cost.parameters:.1%}".replace("%", " %") in text
    assert " 75.00 % of 24 samples" in text


def test_names_and_notes_from_outside_are_text(reported, tmp_path: Path) -> None:
    _, artifacts, _, _ = reported
    image = keras.Input((16, 16, 3), name="image")
    x = layers.GlobalAveragePooling2D()(SqueezeExcite(2, name="a<b>&'\"$x^2$")(image))
    model = keras.Model(image, layers.Dense(10, name="predictions")(x), name=f"model{HOSTILE}")
    strange = [replace(artifacts[2], notes=(HOSTILE, "two\nlines", "third", "fourth"))]
    page = check_page(write_report(model, tmp_path / "page.html", strange))
    assert page.text.count('<img src="x" onerror=alert(1)>&amp;��') >= 3  # title, heading, note
    assert "two lines third 1 more fourth" in page.text
    assert "a<b>&'\"$x^2$" in page.text


def test_a_page_is_replaced_only_if_asked_and_never_half(reported, tmp_path: Path, monkeypatch) -> None:
    _, artifacts, _, _ = reported
    model, path = sample("se_resnet").model, tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"exists already\. Replace it with overwrite=True"):
        write_report(model, path, artifacts[2:3])
    with pytest.raises(FileExistsError, match=r"se_resnet_report\.html' exists already"):
        export(model, reported[0], "tflite", quantize="float16", report=True)
    assert not (reported[0] / "se_resnet_float16.tflite").exists()
    monkeypatch.setattr("keras_se.export.report.page.page", lambda content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(model, path, artifacts[2:3], overwrite=True)
    assert (path.read_text(), [file.name for file in tmp_path.iterdir()]) == ("mine", ["page.html"])
    monkeypatch.undo()
    write_report(model, path, [Artifact.open(artifacts[2].path)], overwrite=True)
    assert "not compared" in check_page(path).text  # a file that was opened


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_what_is_missing_is_told_before_any_work(module: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"requires {module}, .* pip install 'keras-se\[report\]'"):
        export(sample("se_resnet").model, tmp_path, "tflite", report=True)
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_cannot_be_right(tmp_path: Path) -> None:
    model = sample("se_resnet").model
    with pytest.raises(ValueError, match="evaluation_data requires report=True"):
        export(model, tmp_path, "tflite", evaluation_data=(np.zeros((1, 16, 16, 3)), [0]))
    with pytest.raises(ValueError, match="must be from 0 to 9"):
        export(model, tmp_path, "tflite", report=True, evaluation_data=(np.zeros((1, 16, 16, 3)), [10]))
    with pytest.raises(ValueError, match="artifacts must have at least one file"):
        write_report(model, tmp_path / "page.html", [])
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), SqueezeExcite(1, name="se"), layers.Flatten(), layers.Dense(3)], name="small"
    )
    model.save("small.keras")
    np.savez("labelled.npz", x=np.random.default_rng(0).normal(size=(6, 8, 8, 3)), y=np.arange(6) % 3)
    assert cli.run(["export", "small.keras", "-f", "tflite", "--report", "--evaluation", "labelled.npz"]) == 0
    assert "Report: small_report.html" in capfd.readouterr().out
    text = check_page(tmp_path / "small_report.html").text
    assert "of 6 samples" in text
    assert " se SqueezeExcite " in text
    assert cli.run(["export", "small.keras", "-f", "onnx", "--report"]) == 2
    assert "small_report.html' exists already" in capfd.readouterr().err
    assert not (tmp_path / "small.onnx").exists()


def test_plots_keep_labels_apart_and_are_the_same_each_time() -> None:
    points = [Point(200 + i, 1.0 + i / 100, 1.0, 1.1, "tflite", f"mode{i}") for i in range(4)]
    picture = scatter(points, "size (kB)", "latency (ms)", "key", logarithmic=True)
    assert picture == scatter(points, "size (kB)", "latency (ms)", "key", logarithmic=True)
    places = [float(y) for y in re.findall(r'translate\([\d.]+ ([\d.]+)\)">mode', picture)] or [
        (float(x), float(y)) for x, y in re.findall(r'x="([\d.]+)" y="([\d.]+)"[^>]*>mode', picture)
    ]
    assert len(set(places)) == 4
    assert "var(--tflite)" in picture
    assert "#0102" not in picture


def test_a_histogram_has_every_value() -> None:
    values = np.array([[0.1, 0.1, 0.9, 0.9]])
    Page(histogram(values, values[:, :2], "key"))
    Page(histogram(values * 4 - 2, None, "key"))  # gates need not be from 0 to 1
    block = Block(Gates("se", "SqueezeExcite", np.array([[0.0, 1.0], [1.0, 1.0]])), {}, None, "")
    assert (block.mean, block.variation) == (0.75, 0.25)


def test_files_that_take_pixels_and_one_that_does_not(tmp_path: Path) -> None:
    """A SavedModel with signatures takes prepared images in its first: it gets them."""
    model = sample("se_resnet").model
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 16, 16, 3)) * rng.uniform(0.2, 1, (12, 1, 1, 3))
    prepared = Preprocessing(size=(16, 16), mean=(0.2, 0.2, 0.2), std=(0.1, 0.2, 0.3))
    y = model.predict(prepared.preprocess_input(pixels), verbose=0).argmax(-1)
    export(
        model,
        tmp_path,
        ("saved_model", "tflite"),
        quantize="int8",
        calibration_data=pixels,
        preprocessing=prepared,
        signatures="uint8",
        report=True,
        evaluation_data=(pixels, y),
    )
    text = check_page(tmp_path / "se_resnet_report.html").text
    assert " 100.00 % of 12 samples" in text
    row = text[text.index("se_resnet_saved_model") :]
    assert " 100.00 % +0.00 " in row[: row.index("verified")]
    assert re.search(r"se_resnet/stage1_block1_se SqueezeExcite 8 0\.\d+ 0\.\d+ \d+\.\d 0\.\d+ ", text)
