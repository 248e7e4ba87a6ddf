"""The `keras-se` command: what it writes and prints, its exit status, and its sentence for every mistake."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import cli, complexity
from keras_se.catalog import NETWORKS
from keras_se.export import read_metadata
from keras_se.models import SEMobileNet, SEResNet

BUILD = ("SEMobileNet", "--input-shape", "32,32,3", "--classes", "4")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    model = SEResNet(
        (1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 1), classes=3, r=2, name="small"
    )
    model.save(tmp_path / "small.keras")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).normal(size=(12, 8, 8, 1)).astype("float32"))
    return "small.keras"


def run_json(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """The exit status, and the one document on stdout."""
    status = cli.run([*arguments, "--json"])
    return status, json.loads(capfd.readouterr().out)


def files() -> set[str]:
    return {path.name for path in Path.cwd().iterdir()}


def test_models_lists_the_catalog(capfd: pytest.CaptureFixture[str]) -> None:
    status, rows = run_json(capfd, "models")
    assert status == 0
    assert [row["builder"] for row in rows] == [network.builder for network in NETWORKS]
    assert rows[2]["parameters"] == 28_088_024
    assert cli.run(["models"]) == 0
    assert "28,088,024" in capfd.readouterr().out


@pytest.mark.export
def test_export_and_verify_a_file(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    status, artifacts = run_json(
        capfd, "export", model_file, "-q", "none", "-q", "int8", "--calibration", "images.npy", "--layout", "nchw"
    )
    assert status == 0
    assert [Path(artifact["path"]).name for artifact in artifacts] == [
        "small_saved_model", "small.tflite", "small_int8.tflite", "small.onnx", "small_int8.onnx"
    ]  # fmt: skip
    for artifact in artifacts:
        artifact["path"] = Path(artifact["path"]).name
        assert artifact["parity"]["passed"]
        assert artifact["size"] > 0
        status, found = run_json(capfd, "verify", artifact["path"], model_file, "--data", "images.npy")
        assert (status, found["quantize"]) == (0, artifact["quantize"])
    assert files() == {model_file, "images.npy", *(artifact["path"] for artifact in artifacts)}


@pytest.mark.export
def test_a_builder_has_the_same_random_weights_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", *BUILD, "-f", "onnx"]) == 0
    assert "se_mobilenet.onnx" in capfd.readouterr().out
    assert cli.run(["verify", "se_mobilenet.onnx", *BUILD]) == 0
    assert cli.run(["verify", "se_mobilenet.onnx", *BUILD, "--seed", "1"]) == 1
    assert "Error: se_mobilenet.onnx does not compute what SEMobileNet computes." in capfd.readouterr().err


@pytest.mark.export
def test_verify_fails_for_another_model(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    assert cli.run(["export", model_file, "-f", "tflite"]) == 0
    other = keras.models.load_model(model_file)
    other.get_layer("stem_conv").kernel.assign(other.get_layer("stem_conv").kernel * 1.5)
    other.save("other.keras")
    capfd.readouterr()
    status, found = run_json(capfd, "verify", "small.tflite", "other.keras")
    assert status == 1
    assert not found["parity"]["passed"]


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """A model of images that does not tell how they are prepared, and a folder of some."""
    model = SEResNet(
        (1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 3), classes=3, r=2, name="plain"
    )
    model.save(tmp_path / "plain.keras")
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (12, 9, 11, 3), dtype="uint8")):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
    return "plain.keras"


@pytest.mark.export
@pytest.mark.parametrize("in_file", [False, True])
def test_a_model_that_does_not_tell_how_images_are_prepared(
    capfd: pytest.CaptureFixture[str], photographs: str, in_file: bool
) -> None:
    stated = {"size": [8, 8], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25]}
    Path("prepared.json").write_text(json.dumps(stated))
    arguments = ["export", photographs, "-f", "tflite", "-q", "int8", "--calibration", "photos"]
    assert cli.run(arguments) == 2
    assert "(--prepared-as)" in capfd.readouterr().err
    arguments += ["--prepared-as", "prepared.json", "--samples", "7", *(["--preprocessing"] if in_file else [])]
    status, artifacts = run_json(capfd, *arguments)
    assert status == 0
    found = read_metadata("plain_int8.tflite")
    assert found is not None
    assert {key: found["preprocessing"][key] for key in stated} == stated
    assert found["preprocessing"]["in_file"] is in_file
    low, high = (0, 255) if in_file else (-0.4 / 0.3 - 1.3, 0.7 / 0.25 + 0.1)
    (seen,) = artifacts[0]["calibration"]["inputs"].values()
    assert low <= seen["min"] < seen["max"] <= high
    assert (seen["max"] > 200) is in_file
    hashes = {found["calibration"]["sha256"]}
    for seed in ("0", "1"):
        assert cli.run([*arguments, "--calibration-seed", seed, "--force"]) == 0
        document = read_metadata("plain_int8.tflite")
        assert document is not None
        hashes.add(document["calibration"]["sha256"])
    assert len(hashes) == 2, "0 is the default, and 1 chooses others"


PREPARED = {
    "missing.json": None,
    "text.json": "mean: 0.5",
    "list.json": "[0.5]",
    "unknown.json": '{"average": 0.5}',
    "wrong.json": '{"mean": 0.5}',
    "no_folder": None,
}


@pytest.mark.parametrize("name", PREPARED)
def test_what_tells_of_no_preparation(capfd: pytest.CaptureFixture[str], photographs: str, name: str) -> None:
    if (content := PREPARED[name]) is not None:
        Path(name).write_text(content)
    assert cli.run(["export", photographs, "-f", "tflite", "--prepared-as", name]) == 2
    error = " ".join(capfd.readouterr().err.split())
    assert error.count("Error: ") == 1
    assert name in error or "mean must be 3 numbers" in error
    assert not Path("plain.tflite").exists()


@pytest.mark.export
def test_labels_and_metadata(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    classes = keras.models.load_model(model_file).output_shape[-1]
    names = [f"class {i}" for i in range(classes)]
    Path("labels.txt").write_text("\n".join(names))
    assert cli.run(["export", model_file, "-f", "tflite", "--labels", "labels.txt", "--metadata-file"]) == 0
    assert json.loads(Path("small.tflite.json").read_text())["labels"] == names
    capfd.readouterr()
    status, found = run_json(capfd, "inspect", "small.tflite")
    assert (status, found["document"]["labels"]) == (0, names)
    assert cli.run(["inspect", "small.tflite"]) == 0
    assert "Labels: class 0, class 1" in capfd.readouterr().out


@pytest.mark.export
def test_force_replaces_a_file(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    Path("small.tflite").write_text("old")
    arguments = ["export", model_file, "-f", "tflite"]
    assert cli.run(arguments) == 2
    assert "exists already" in capfd.readouterr().err
    assert Path("small.tflite").read_text() == "old"
    assert cli.run([*arguments, "--force"]) == 0
    assert Path("small.tflite").stat().st_size > 1000


def write_mistakes() -> None:
    Path("text.keras").write_text("not a zip file")
    Path("text.txt").write_text("x")
    whole = Path("small.keras").read_bytes()
    Path("cut.keras").write_bytes(whole[: len(whole) // 2])
    np.save("empty.npy", np.zeros((0, 8, 8, 1), "float32"))
    Path("broken.npy").write_bytes(b"\x93NUMPY rubbish")
    Path("a_file").write_text("x")


MISTAKES = [
    (["export", "SEResnet5"], r"The nearest are .*SEResNet50"),
    (["export", "nothing_like_it_at_all"], r"MODEL must be a .keras file or the name of a builder"),
    (["export", "missing.keras"], r"MODEL must be a file that exists"),
    (["export", "text.keras"], r"MODEL must be a .keras file that Model.save wrote"),
    (["export", "text.txt"], r"MODEL must be a .keras file that Model.save wrote"),
    (["export", "cut.keras"], r"MODEL must be a .keras file"),
    (["export", "small.keras", "--io-dtype", "int8"], r"io_dtype='int8' requires"),
    (["export", "small.keras", "-q", "int8", "--io-dtype", "int16"], r"io_dtype='int16' requires"),
    (["export", "small.keras", "-q", "int8"], r"calibration_data must be given"),
    (["export", "small.keras", "-f", "tflite", "--calibration", "none.npy"], r"calibration_data requires quantize="),
    (["export", "small.keras", "-f", "tflite", "--layout", "nchw"], r"layout='nchw' requires formats='onnx'"),
    (["export", "small.keras", "--calibration-seed", "-1"], r"-1 is not in the range"),
    (["export", "small.keras", "--calibration-seed", "1"], r"require a folder of images.*--calibration not given"),
    (["export", "small.keras", "-q", "int8", "--calibration", "empty.npy"], r"calibration_data must"),
    (["export", "small.keras", "-q", "int8", "--calibration", "broken.npy"], r"calibration_data must be a readable"),
    (["export", "small.keras", "-q", "int8", "--calibration", "none.npy"], r"calibration_data must be .* exists"),
    (["export", "small.keras", "-q", "selective", "--calibration", "images.npy", "--keep", "sea"], r"keep must match"),
    (["export", "small.keras", "-q", "selective", "--calibration", "images.npy", "--keep", "("], r"regular expression"),
    (["export", "small.keras", "-q", "selective", "--keep-as", "int4"], r"keep_as must be one of"),
    (
        ["export", "small.keras", "-q", "int8", "--calibration", "images.npy", "--keep", "se"],
        r"keep=.* requires formats='tflite' with quantize='selective'",
    ),
    (["export", "small.keras", "--debug-layers"], r"--debug-layers requires a quantized TFLite file"),
    (["export", "small.keras", "-q", "int4"], r"quantize must be one of"),
    (["export", "small.keras", "-f", "coreml"], r"formats must be one of"),
    (["export", "small.keras", "-o", "missing"], r"directory must be a folder that exists"),
    (["export", "small.keras", "-o", "a_file"], r"directory must be a folder that exists"),
    (
        ["export", "small.keras", "-f", "onnx", "-q", "dynamic"],
        r"quantize must be a mode that one of the formats",
    ),
    (["export", "small.keras", "--opset", "7"], r"opset must be one of"),
    (["export", "small.keras", "--layout", "chw"], r"layout must be one of"),
    (["export", "small.keras", "--batch-size", "0"], r"batch_size must be a positive integer"),
    (["export", "small.keras", "-r", "4"], r"-r requires the name of a builder"),
    (["export", "SEMobileNet", "-r", "0"], r"r must be a positive integer"),
    (["export", "SEMobileNet", "-r", "x"], r"-r must consist of whole numbers"),
    (["export", "SEMobileNet", "--input-shape", "32"], r"input_shape must be"),
    (["export", "SEMobileNet", "--input-shape", "a,b"], r"--input-shape must consist of whole numbers"),
    (["export", "SEMobileNet", "--seed", "-1"], r"'--seed': -1 is not in the range 0<=x<=4294967295"),
    (["export", "SEMobileNet", "--classes", "0"], r"classes must be a positive integer"),
    (["export", "SEMobileNet", "--weights", "none.weights.h5"], r"weights must be a file that exists"),
    (["export", "small.keras", "--labels", "text.txt"], r"labels must be one for each of the \d+ channels.*: 1 labels"),
    (["export", "small.keras", "--labels", "none.txt"], r"labels must be a text file in UTF-8.*'none.txt'"),
    (["export", "small.keras", "--signature", "png"], r"signatures must be"),
    (["export", "small.keras", "--signature", "uint8"], r"signatures requires the preprocessing of images"),
    (["export", "small.keras", "-f", "onnx", "--signature", "uint8"], r"signatures=.* requires formats='saved_model'"),
    (["export"], r"Missing argument 'MODEL'"),
    (["export", "small.keras", "--nonsense"], r"No such option"),
    (["nonsense"], r"No such command"),
    (["insert", "small.keras", "out.h5"], r"OUT must end in .keras"),
    (["insert", "small.keras", "missing/out.keras"], r"The folder of the file must exist"),
    (["insert", "small.keras", "out.keras", "--where", "stem", "--more-se"], r"The nearest are .*Received: 'stem'"),
    (["insert", "small.keras", "out.keras", "-r", "0"], r"r must be a positive integer"),
    (["insert", "small.keras", "out.keras", "-r", "none"], r"Invalid value for '-r'"),
    (["insert", "small.keras"], r"Missing argument 'OUT'"),
    (["verify", "missing.tflite", "small.keras"], r"The file must be one of"),
    (["verify", "text.txt", "small.keras"], r"The file must be one of"),
    (["benchmark"], r"Missing argument 'FILES"),
    (["benchmark", "missing.tflite"], r"The file must be one of"),
    (["benchmark", "small.keras", "--rounds", "0"], r"Invalid value for '--rounds'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_one_sentence_and_status_2(
    capfd: pytest.CaptureFixture[str], model_file: str, arguments: list[str], sentence: str
) -> None:
    write_mistakes()
    before = files()
    assert cli.run(arguments) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert len(lines[0]) < 500  # a sentence, not a page
    assert re.search(sentence, lines[0])
    assert files() == before


def test_an_error_is_a_document_with_json(capfd: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capfd, "export", "SEMobilenet5")
    assert status == 2
    assert document["error"].startswith("MODEL must be")


def test_another_failure_is_not_taken_for_the_end_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr("keras_se.cli.commands.complexity.load", fail)
    with pytest.raises(RuntimeError, match="something else"):
        cli.run(["complexity", "SEResNet20"])


def test_too_large_a_network_is_one_sentence_and_status_1(capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.run(["complexity", "SEResNet20", "--classes", "1000000000000", "--json"])
    printed = capfd.readouterr()
    assert status == 1
    assert json.loads(printed.out)["error"].startswith("Out of memory")
    assert printed.err == f"Error: {json.loads(printed.out)['error']}\n"


def test_arrays_that_find_no_memory(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_se.cli.commands.complexity.load", lambda *arguments: np.empty(2**45))
    assert run_json(capfd, "complexity", "SEResNet20")[0] == 1


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("keras-se")
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.programs
def test_the_command_prints_json_and_nothing_else(model_file: str) -> None:
    done = command("export", model_file, "-f", "tflite", "-q", "int8", "--calibration", "images.npy", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["parity"]["passed"]
    # TensorFlow, its converter and LiteRT all write to the terminal: none of it gets through.
    assert "tensorflow" not in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.programs
def test_help_does_not_start_tensorflow() -> None:
    program = "import sys; sys.argv[0] = 'keras-se'; import keras_se.cli; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.programs
@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.0])
def test_an_interrupt_leaves_whole_files_or_none(model_file: str, seconds: float) -> None:
    """Also while TensorFlow is being imported, which does not take interrupts well."""
    script = Path(sys.executable).with_name("keras-se")
    process = subprocess.Popen(
        [script, "export", model_file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    process.communicate()
    written = files() - {model_file, "images.npy"}
    exported = {"small_saved_model", "small.tflite", "small.onnx"}
    # How far it came in the time is the machine's affair.
    assert written <= exported
    if written == exported:  # the signal may have met it on its way out, or too late
        assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT, 0)
    else:
        assert process.returncode == 128 + signal.SIGINT
    for path in written:
        assert cli.run(["verify", path, model_file]) == 0


@pytest.fixture
def untrained(model_file: str, capfd: pytest.CaptureFixture[str]) -> str:
    """A file of a model whose outputs hardly depend on its inputs."""
    model = keras.saving.load_model(model_file)
    model.layers[-1].set_weights([1e-9 * weight for weight in model.layers[-1].get_weights()])
    model.save(model_file)
    assert cli.run(["export", model_file, "-f", "tflite"]) == 0
    return "small.tflite"


@pytest.mark.export
def test_strict_wants_a_comparison_that_tells(
    untrained: str, model_file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["verify", untrained, model_file]) == 0
    assert "inconclusive" in capfd.readouterr().out
    assert cli.run(["verify", untrained, model_file, "--strict"]) == 1
    assert "The comparison of small.tflite with" in capfd.readouterr().err


def test_names_are_no_markup(capfd: pytest.CaptureFixture[str]) -> None:
    """Of folders, models and layers: what rich would take for a tag, or for the end of one that was not begun."""
    Path("d[").mkdir()
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, name="[bold]convolution")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(image, keras.layers.Dense(2)(x), name="net[red]").save("d[/ok].keras")
    assert cli.run(["complexity", "d[/ok].keras", "--layers"]) == 0
    printed = capfd.readouterr().out
    assert "net[red], input 8x8x1" in printed
    assert "[bold]convolution" in printed
    assert cli.run(["export", "d[/ok].keras", "-f", "tflite", "-o", "missing[/]"]) == 2
    assert "Received: 'missing[/]'" in capfd.readouterr().err
    assert cli.run(["verify", "d[/missing].tflite", "d[/ok].keras"]) == 2
    assert "'d[/missing].tflite'" in capfd.readouterr().err


# inspect


@pytest.mark.export
def test_inspect(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    arguments = ("-f", "tflite", "-q", "int8", "--calibration", "images.npy", "--io-dtype", "int8")
    assert cli.run(["export", model_file, *arguments]) == 0
    capfd.readouterr()
    status, document = run_json(capfd, "inspect", "small_int8.tflite", "--target", "microcontroller")
    assert status == 0
    assert [(verdict["target"], verdict["passed"]) for verdict in document["verdicts"]] == [("microcontroller", True)]
    assert cli.run(["inspect", "small_int8.tflite", "--target", "onnxruntime-mobile"]) == 1
    assert "Error: small_int8.tflite does not fit onnxruntime-mobile" in capfd.readouterr().err
    assert cli.run(["inspect", "images.npy"]) == 2


@pytest.mark.export
def test_export_for_microcontrollers(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    arguments = ("-f", "microcontroller", "-q", "int8", "--calibration", "images.npy")
    status, (artifact,) = run_json(capfd, "export", model_file, *arguments)
    assert (status, artifact["format"], artifact["quantize"]) == (0, "microcontroller", "int8")
    assert Path("small_int8_microcontroller/small_model.cc").is_file()
    status, verified = run_json(capfd, "verify", "small_int8_microcontroller", model_file, "--data", "images.npy")
    assert (status, verified["parity"]["passed"]) == (0, True)


@pytest.mark.export
def test_export_keeps_chosen_layers(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    arguments = ("-f", "tflite", "-q", "selective", "--calibration", "images.npy", "--keep", "se", "--keep", "stem_.*")
    status, (artifact,) = run_json(capfd, "export", model_file, *arguments, "--keep-as", "float32")
    assert (status, artifact["path"].endswith("small_selective.tflite")) == (0, True)
    status, found = run_json(capfd, "inspect", "small_selective.tflite")
    assert (status, found["quantize"], found["floats_left"]) == (0, "selective", [])
    assert set(found["macs_by_arithmetic"]) == {"int8", "float32"}


@pytest.mark.export
def test_export_tells_the_error_of_each_layer(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    arguments = ("-f", "tflite", "-q", "none", "-q", "int8", "--calibration", "images.npy", "--debug-layers")
    status, (floats, artifact) = run_json(capfd, "export", model_file, *arguments)
    assert (status, "layer_errors" in floats) == (0, False)
    errors = artifact["layer_errors"]
    assert [row["layer"] for row in errors["layers"] if row["se"]] == ["stage1_block1_se"]
    assert all(row["sqnr"] > 15 and row["cosine"] > 0.9 for row in errors["layers"])
    assert "stem_conv_bn" in errors["missing"]
    assert cli.run(["export", model_file, *arguments, "--force"]) == 0
    printed = capfd.readouterr().out
    assert re.search(r"stage1_block1_se +SE +[\d.-]+ +\d+\.\d +[01]\.\d{6}", printed)
    assert "small_int8.tflite: fused into other layers, or without computation: stem_conv_bn," in printed


# insert


@pytest.fixture
def plain_file() -> str:
    SEResNet(
        (1,), block="basic", filters=(8,), stem="small", input_shape=(8, 8, 1), classes=3, r=None, name="plain"
    ).save("plain.keras")
    return "plain.keras"


def test_insert(capfd: pytest.CaptureFixture[str], plain_file: str) -> None:
    status, document = run_json(capfd, "insert", plain_file, "excited.keras", "-r", "2")
    assert (status, document["written"]) == (0, "excited.keras")
    assert [row["layer"] for row in document["rows"]] == ["stage1_block1_conv2_bn"]
    assert document["parameters"] == 2 * 8 * 4 + 4 + 8
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    plain, excited = (keras.saving.load_model(path) for path in (plain_file, "excited.keras"))
    assert excited.get_layer("stage1_block1_conv2_bn_se").r == 2
    np.testing.assert_allclose(excited.predict(x, verbose=0), plain.predict(x, verbose=0), rtol=1e-5)
    assert files() == {plain_file, "excited.keras"}


def test_insert_where_told(capfd: pytest.CaptureFixture[str], plain_file: str) -> None:
    arguments = ("--where", "stem_.*_relu|stage1_block1_relu", "--no-identity", "--dry-run")
    status, document = run_json(capfd, "insert", plain_file, "excited.keras", *arguments)
    assert (status, document["written"]) == (0, None)
    assert [row["layer"] for row in document["rows"]] == ["stem_conv_relu", "stage1_block1_relu"]
    assert files() == {plain_file}
    assert cli.run(["insert", plain_file, "excited.keras", *arguments]) == 0
    printed = capfd.readouterr().out
    assert re.search(r"stem_conv_relu +8 +8x8x8", printed)
    assert "Nothing was written" in printed


def test_insert_into_a_builders_plain_network(capfd: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capfd, "insert", *BUILD[:1], "out.keras", *BUILD[1:], "--dry-run")
    assert status == 0
    assert len(document["rows"]) == 13
    built = SEMobileNet(input_shape=(32, 32, 3), classes=4)
    assert document["parameters"] == complexity(built).se_parameters


def test_insert_more(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    assert cli.run(["insert", model_file, "out.keras"]) == 2
    assert "has squeeze-and-excitation already" in capfd.readouterr().err
    assert cli.run(["insert", model_file, "out.keras", "--more-se", "--where", "stem_conv_relu", "-r", "2"]) == 0
    assert "Written: out.keras" in capfd.readouterr().out


def test_insert_replaces_only_if_forced(capfd: pytest.CaptureFixture[str], plain_file: str) -> None:
    Path("out.keras").write_text("old")
    assert cli.run(["insert", plain_file, "out.keras"]) == 2
    assert "exists already" in capfd.readouterr().err
    assert Path("out.keras").read_text() == "old"
    assert cli.run(["insert", plain_file, "out.keras", "--force"]) == 0
    assert keras.saving.load_model("out.keras").name == "plain"


# benchmark


@pytest.mark.export
def test_benchmark_files_in_turn(capfd: pytest.CaptureFixture[str], model_file: str) -> None:
    assert cli.run(["export", model_file, "-f", "tflite", "-f", "onnx"]) == 0
    capfd.readouterr()
    arguments = ("benchmark", "small.tflite", "small.onnx", "--threads", "1", "--rounds", "3", "--warm-up", "1")
    status, document = run_json(capfd, *arguments)
    assert status == 0
    assert [file["path"] for file in document["files"]] == ["small.tflite", "small.onnx"]
    assert all(file["latency"]["runs"] == 3 and file["memory"] > 0 and file["profile"] for file in document["files"])
    assert document["machine"]
    assert cli.run([*arguments, "--no-profile"]) == 0
    printed = capfd.readouterr().out
    assert re.search(r"small.tflite +1 +\d+\.\d+ .* 1\.000 ", printed)
    assert "operation" not in printed


# complexity


def test_complexity_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    status, document = run_json(capfd, "complexity", "SEMobileNet", "--input-shape", "96,96,3", "--classes", "10")
    expected = complexity(SEMobileNet(input_shape=(96, 96, 3), classes=10))
    assert status == 0
    assert document == json.loads(json.dumps(expected.to_dict()))


def test_complexity_as_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["complexity", "SEMobileNet", "-r", "none"]) == 0
    assert "568.74" in capfd.readouterr().out
    assert cli.run(["complexity", "SEMobileNet", "--layers"]) == 0
    assert "stage4_block2_se" in capfd.readouterr().out


def test_complexity_names_what_it_does_not_count(capfd: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2, name="recurrent")])
    model.save("lstm.keras")
    assert cli.run(["complexity", "lstm.keras"]) == 0
    assert "recurrent" in capfd.readouterr().out


def test_complexity_of_an_unknown_size(capfd: pytest.CaptureFixture[str]) -> None:
    keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)]).save("open.keras")
    status, document = run_json(capfd, "complexity", "open.keras")
    assert status == 2
    assert "input_shape must have known sizes" in document["error"]
    status, document = run_json(capfd, "complexity", "open.keras", "--input-shape", "8,8,3")
    assert (status, document["macs"]) == (0, 6 * 6 * 27 * 2)
