"""What files say of themselves, read with the formats' own packages, and what they say when they lie."""

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_se import SqueezeExcite
from keras_se.export import (
    FORMATS,
    Artifact,
    export,
    metadata,
    read_metadata,
    to_microcontroller,
    to_onnx,
    to_saved_model,
    to_tflite,
    verify,
)
from keras_se.export import artifact as artifact_module
from keras_se.export import inspect as inspect_module
from keras_se.export.frontend.fingerprint import source_sha256
from keras_se.export.tflite.graph import read_graph
from keras_se.export.tflite.metadata import embed, embedded
from keras_se.weights import Preprocessing
from tests.support.microcontrollers import runtime
from tests.support.networks import sample
from tests.support.networks.exported import conv_bn_se, se_resnet

inspect = getattr(inspect_module, "inspect", inspect_module)
FILES = {"tflite": "model.tflite", "onnx": "model.onnx", "saved_model": "model", "microcontroller": "model"}


def alone(path: Path, format: str) -> dict[str, Any]:
    """The document of a file, by nothing of keras_se."""
    if format == "tflite":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("keras_se.json"))
    if format == "onnx":
        return json.loads({own.key: own.value for own in onnx.load(path).metadata_props}["keras_se"])
    name = "manifest.json" if format == "microcontroller" else "assets.extra/keras_se.json"
    return json.loads((path / name).read_text())


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_carries_a_document(exported: Any, format: str) -> None:
    artifact = exported("se_resnet", format)
    document = alone(artifact.path, format)
    assert read_metadata(artifact.path) == document == artifact.metadata == Artifact.open(artifact.path).metadata
    assert (document["made_by"], document["format"], document["quantize"]) == ("keras_se", format, None)
    assert document["model_name"] == "se_resnet"
    assert document["versions"]["keras"] == keras.__version__
    assert document["source_sha256"] == source_sha256(sample("se_resnet").model)
    assert (document["labels"], document["preprocessing"], document["calibration"]) == (None, None, None)
    batch = 1 if format in ("tflite", "microcontroller") else None
    assert document["inputs"] == [{"name": "image", "shape": [batch, 16, 16, 3], "dtype": "float32"}]
    assert document["outputs"][0]["name"] == "predictions"
    parity = document["parity"]
    assert (parity["passed"], parity["samples"], parity["cosine"]) == (True, 8, 1.0)
    for name in ("error", "max_abs", "tolerance"):
        assert parity[name] == pytest.approx(getattr(artifact.parity, name), rel=0.06)
        assert (
            len(f"{parity[name]:.9e}".rstrip("0").split("e")[0].rstrip("0").replace(".", "")) <= 2 or parity[name] == 0
        )


def test_what_an_int8_file_says(exported: Any) -> None:
    artifact, data = exported("se_resnet", "tflite", "int8", io_dtype="int8"), sample("se_resnet").data
    document = alone(artifact.path, "tflite")
    detail = Interpreter(str(artifact.path)).get_input_details()[0]
    (image,) = document["inputs"]
    assert (image["dtype"], image["zero_point"]) == ("int8", detail["quantization"][1])
    assert np.float32(image["scale"]) == np.float32(detail["quantization"][0])
    assert document["options"] == {"optimize": True, "io_dtype": "int8", "batch_size": 1, "input_shape": None}
    seen = document["calibration"]
    assert (seen["samples"], seen["inputs"]["image"]["max"]) == (24, pytest.approx(float(data.max())))
    assert seen["sha256"] == hashlib.sha256(f"image <f4 {data.shape}".encode() + data.tobytes()).hexdigest()


def test_selective_metadata_has_kept_layers_and_input_ranges(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3), name="image")
    x = SqueezeExcite(2, name="first_se")(keras.layers.Conv2D(8, 3, name="conv")(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="small")
    data = {"quantize": "selective", "calibration_data": np.random.default_rng(0).normal(size=(8, 12, 10, 3))}
    for given, keep, keep_as in (
        ({}, ["se"], "float32"),
        ({"keep": "conv|x", "keep_as": "int16"}, ["conv|x"], "int16"),
    ):
        artifact = to_tflite(model, tmp_path / f"{keep_as}.tflite", input_shape=(np.int64(12), 10, 3), **data, **given)
        document = alone(artifact.path, "tflite")
        options = {"optimize": True, "io_dtype": "float32", "batch_size": 1, "input_shape": {"image": [12, 10, 3]}}
        assert document["options"] == {**options, "keep": keep, "keep_as": keep_as}
        assert document["versions"]["ai-edge-quantizer"] == importlib.metadata.version("ai-edge-quantizer")


def test_options_and_packages_of_an_onnx_file(exported: Any) -> None:
    document = alone(exported("se_resnet", "onnx", layout="nchw", batch_size=3).path, "onnx")
    assert document["options"] == {"optimize": True, "opset": 17, "layout": "nchw", "batch_size": 3}
    assert document["inputs"][0]["shape"] == [3, 3, 16, 16]
    assert document["versions"]["onnxruntime"].count(".") >= 2
    assert set(document["versions"]) == {"keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"}


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_verified_bytes_are_a_prefix_of_the_file(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    verified = Artifact.verified

    def spy(artifact: Artifact, *args: Any) -> Artifact:
        seen.append(artifact.path.read_bytes())
        return verified(artifact, *args)

    monkeypatch.setattr(artifact_module.Artifact, "verified", spy)
    artifact = FORMATS[format].convert(se_resnet(), tmp_path / FILES[format])
    (before,), after = seen, artifact.path.read_bytes()
    assert after.startswith(before)
    assert b'"made_by":"keras_se"' in after[len(before) :]


def test_offset_constants_are_read_with_an_archive_behind_them(tmp_path: Path) -> None:
    """LiteRT's quantizer puts large constants behind the FlatBuffer."""
    model = keras.Sequential([keras.Input((512,), name="x"), keras.layers.Dense(512, name="y")])
    given = {"quantize": "dynamic", "verification_data": np.random.default_rng(0).normal(size=(8, 512))}
    artifact = to_tflite(model, tmp_path / "model.tflite", **given)
    content = artifact.path.read_bytes()
    assert [buffer.offset % 16 for buffer in schema.ModelT.InitFromPackedBuf(content, 0).buffers if buffer.offset > 1]
    assert artifact.parity.passed
    assert artifact.parity.conclusive
    kernels = [tensor for tensor in read_graph(content).tensors if tensor.shape == (512, 512)]
    assert [tensor.constant for tensor in kernels] == [True]
    (operation,) = [one for one in inspect(artifact.path).operations if one.kind == "FULLY_CONNECTED"]
    assert [tensor.constant for tensor in operation.inputs] == [False, True, True][: len(operation.inputs)]
    plain = to_tflite(model, tmp_path / "plain.tflite", metadata=False, **given)
    x = np.random.default_rng(1).normal(size=(4, 512))
    assert np.array_equal(artifact.predict(x), plain.predict(x))


@pytest.mark.parametrize("mode", [None, "int8"])
def test_the_archive_of_a_tflite_file_is_the_same_each_time(exported: Any, mode: str | None, tmp_path: Path) -> None:
    content = exported("se_resnet", "tflite", mode).path.read_bytes()
    path = tmp_path / "model.tflite"
    with zipfile.ZipFile(exported("se_resnet", "tflite", mode).path) as archive:
        (entry,) = archive.infolist()
        document = archive.read(entry)
    assert (entry.filename, entry.compress_type, entry.date_time) == ("keras_se.json", 0, (1980, 1, 1, 0, 0, 0))
    path.write_bytes(content[: entry.header_offset])
    assert embedded(path) is None
    embed(path, document)
    assert path.read_bytes() == content


def test_associated_files_of_others_stay(exported: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    content = exported("se_resnet", "tflite").path.read_bytes()
    path.write_bytes(content[: content.rindex(b"PK\3\4")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n" * 10**6)
    embed(path, b'{"made_by": "keras_se"}')
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt", "keras_se.json"]
    assert read_metadata(path) == {"made_by": "keras_se"}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("vocabulary.txt", "bird\n" * 2**20)
    assert read_metadata(path) == {"made_by": "keras_se"}


def bomb(path: Path, **changes: Any) -> None:
    """Appends an archive whose entry differs from ours."""
    entry = zipfile.ZipInfo("keras_se.json")
    entry.compress_type = changes.pop("compress_type", zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, changes.pop("data", b'{"made_by": "keras_se"}'))
        for name, value in changes.items():
            setattr(entry, name, value)


HOSTILE_ARCHIVES: dict[str, dict[str, Any]] = {
    "a bomb": {"compress_type": zipfile.ZIP_DEFLATED, "data": bytes(1 << 28)},
    "a large size": {"file_size": 1 << 40},
    "large sizes": {"file_size": 1 << 31, "compress_size": 1 << 31},
    "another checksum": {"CRC": zlib.crc32(b"x")},
    "encrypted": {"flag_bits": 1},
    "a place before the file": {"header_offset": 1 << 31},
    "a place in the model": {"header_offset": 8},
    "a long document": {"data": b" " * (metadata.LIMIT + 1)},
    "another compression": {"compress_type": zipfile.ZIP_LZMA},
}


@pytest.mark.parametrize("case", HOSTILE_ARCHIVES)
def test_a_hostile_archive_is_not_unpacked(bare: dict[str, Path], case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    shutil.copyfile(bare["tflite"], path)
    bomb(path, **HOSTILE_ARCHIVES[case])
    assert zipfile.is_zipfile(path)
    tracemalloc.start()
    try:
        assert read_metadata(path) is None
        assert tracemalloc.get_traced_memory()[1] < 4 * metadata.LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.reference
def test_boards_run_a_file_with_metadata(exported: Any) -> None:
    content = exported("se_resnet", "tflite", "int8", io_dtype="int8").path.read_bytes()
    found = []
    for part in (content, content[: content.rindex(b"PK\3\4")]):
        interpreter = runtime().Interpreter.from_bytes(part, arena_size=1 << 20)
        interpreter.set_input(np.arange(768).reshape(1, 16, 16, 3).astype("int8"), 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_export_has_the_same_document(exported: Any, format: str, tmp_path: Path) -> None:
    again = FORMATS[format].convert(sample("se_resnet").model, tmp_path / FILES[format])
    document = alone(exported("se_resnet", format).path, format)
    names = ("model", "name", "files")  # of a manifest: files are named after the model
    assert {key: value for key, value in alone(again.path, format).items() if key not in names} == {
        key: value for key, value in document.items() if key not in names
    }
    assert str(tmp_path) not in json.dumps(again.metadata)


ANOTHER_PROCESS = """
import keras
from keras_se import SqueezeExcite
from keras_se.export.frontend.fingerprint import source_sha256

keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), SqueezeExcite(2)])
keras.utils.set_random_seed(5)
layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), SqueezeExcite(2), keras.layers.Dropout(0.5)]
model = keras.Sequential(layers)
model.compile("adam", "mse")
print(source_sha256(model))
"""


def test_a_model_is_known_by_its_code_and_weights(tmp_path: Path) -> None:
    """Also by another process, where Keras numbers its layers otherwise."""
    done = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], check=True, capture_output=True, text=True)
    found = done.stdout.split()[-1]
    keras.utils.set_random_seed(5)
    from keras_se import SqueezeExcite

    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), SqueezeExcite(2), keras.layers.Dropout(0.5)]
    model = keras.Sequential(layers)
    assert source_sha256(model) == found
    model.save(tmp_path / "model.keras")
    assert source_sha256(keras.models.load_model(tmp_path / "model.keras")) == found
    weights = model.get_weights()
    weights[0].flat[0] += 1e-3
    model.set_weights(weights)
    assert source_sha256(model) != found
    other = keras.Sequential([*layers[:3], keras.layers.Dropout(0.25)])
    other.set_weights(weights)
    assert source_sha256(other) != source_sha256(model)


def test_a_model_that_cannot_be_saved_is_known_by_its_weights() -> None:
    class Mine(keras.layers.Layer):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = function

        def call(self, x: Any) -> Any:
            return self.function(x)

    image = keras.Input((8, 8, 3))
    models = [keras.Model(image, Mine(lambda x: 2 * x)(conv_bn_se(image, 4, "a"))) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    assert source_sha256(models[0]) == source_sha256(models[1])


NAMES = [f"class {i}" for i in range(10)]


@pytest.mark.parametrize("format", FORMATS)
def test_labels_from_a_list_and_from_a_file(format: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\r\n".join(NAMES) + "\n\n", encoding="utf-8-sig")
    model = sample("se_resnet").model
    for labels in (NAMES, tmp_path / "labels.txt")[: 2 if format == "onnx" else 1]:
        artifact = FORMATS[format].convert(model, tmp_path / FILES[format], labels=labels, overwrite=True)
        assert alone(artifact.path, format)["labels"] == NAMES


def test_labels_of_imagenet() -> None:
    from keras_se.export.data.labels import labels_of
    from keras_se.export.frontend.tensor_spec import Tensor

    found = labels_of("imagenet", [Tensor("predictions", (1000,), "float32")])
    assert found is not None
    assert (len(found), found[0]) == (1000, "tench")


WRONG = {
    "too few": (NAMES[:9], r"^labels must be one for each of the 10 channels of the output 'predictions'.* 9 labels$"),
    "no strings": (list(range(10)), r"^labels must be a list of strings.*Received: a label '0'$"),
    "an empty one": ([*NAMES[:9], " "], r"^labels must be a list of strings"),
    "two lines": ([*NAMES[:9], "a\nb"], r"^labels must be a list of strings"),
    "half a letter": ([*NAMES[:9], "\ud800"], r"^labels must be a list of strings"),
    "no list": (10, r"^labels must be .* Received: labels of int$"),
    "no file": ("missing.txt", r"^labels must be a text file in UTF-8.*'missing.txt'"),
    "endless": ([*NAMES[:9], "x" * (1 << 20)], r"^labels must have at most 1048576 characters"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("convert", [to_saved_model, to_tflite, to_onnx, to_microcontroller, export])
def test_wrong_labels_are_refused(case: str, convert: Any, tmp_path: Path) -> None:
    labels, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        convert(se_resnet(), tmp_path if convert is export else tmp_path / "model", labels=labels)
    assert not list(tmp_path.iterdir())


def test_labels_go_with_one_output(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^labels requires a model with one output.*'label', 'map'"):
        to_onnx(sample("two_inputs").model, tmp_path / "model.onnx", labels=["a", "b"])


PREPARED = Preprocessing(size=(16, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25), crop=0.9, classes=10)


def test_preprocessing_is_told_and_used(tmp_path: Path) -> None:
    model = sample("se_resnet").model
    artifact = to_tflite(model, tmp_path / "model.tflite", preprocessing=PREPARED)
    told = alone(artifact.path, "tflite")["preprocessing"]
    assert (told["in_file"], told["size"], told["crop"], told["interpolation"]) == (True, [16, 16], 0.9, "bicubic")
    pixel = np.array([10.0, 20.0, 30.0])
    prepared = (pixel / 255 - np.array(PREPARED.mean)) / np.array(PREPARED.std)
    np.testing.assert_allclose(pixel * told["scale"] + told["offset"], prepared, rtol=1e-12)
    # The file says that it takes pixels: nobody else has to.
    assert verify(artifact.path, model).parity.passed
    assert not verify(artifact.path, model, preprocessing=Preprocessing(size=(16, 16))).parity.passed


def test_preprocessing_that_is_left_to_the_caller(tmp_path: Path) -> None:
    model = se_resnet()
    model.preprocessing = PREPARED
    told = to_onnx(model, tmp_path / "model.onnx").metadata["preprocessing"]
    assert (told["in_file"], told["mean"]) == (False, list(PREPARED.mean))


def test_a_model_that_scales_its_input(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = conv_bn_se(keras.layers.Rescaling(1 / 255, offset=-0.5)(image), 4, "block")
    told = to_saved_model(keras.Model(image, x), tmp_path / "model").metadata["preprocessing"]
    assert told == {"in_file": True, "scale": [1 / 255], "offset": [-0.5]}


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_a_file_beside_it(format: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[format]
    side = tmp_path / f"{FILES[format]}.json"
    artifact = FORMATS[format].convert(sample("se_resnet").model, path, metadata_file=True)
    assert json.loads(side.read_text()) == artifact.metadata
    path.unlink()
    with pytest.raises(FileExistsError, match=rf"{side.name}' exists already"):
        FORMATS[format].convert(sample("se_resnet").model, path, metadata_file=True)
    assert [own.name for own in tmp_path.iterdir()] == [side.name]


def test_files_beside_all_that_are_single(tmp_path: Path) -> None:
    (tmp_path / "se_resnet.onnx.json").write_text("mine")
    model = sample("se_resnet").model
    with pytest.raises(FileExistsError, match=r"se_resnet\.onnx\.json"):
        export(model, tmp_path, metadata_file=True)
    assert [own.name for own in tmp_path.iterdir()] == ["se_resnet.onnx.json"]
    export(model, tmp_path, metadata_file=True, overwrite=True)
    names = ["se_resnet.onnx", "se_resnet.onnx.json", "se_resnet.tflite", "se_resnet.tflite.json"]
    assert sorted(own.name for own in tmp_path.iterdir()) == [*names, "se_resnet_saved_model"]


def test_a_failed_export_leaves_no_file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Artifact, "verified", lambda *args: 1 / 0)
    with pytest.raises(RuntimeError, match="to onnx failed"):
        to_onnx(sample("se_resnet").model, tmp_path / "model.onnx", metadata_file=True)
    assert not list(tmp_path.iterdir())


def foreign(path: Path, format: str) -> Path:
    """The same file without a document."""
    if format == "tflite":
        return to_tflite(sample("se_resnet").model, path, metadata=False).path
    if format == "onnx":
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
    else:
        shutil.rmtree(path / "assets.extra")
    return path


LIES = {
    "no JSON": b"{",
    "another's": b'{"made_by": "somebody"}',
    "a list": b'["keras_se"]',
    "deep": b"[" * 200_000,
    "a number": b"1" + b"0" * 10_000,
    "no number": b'{"made_by": "keras_se", "version": NaN}',
    "no finite number": b'{"made_by": "keras_se", "version": 1e999}',
    "long": b'{"made_by": "keras_se", "x": "' + b"a" * metadata.LIMIT + b'"}',
    "bytes": b"\xff\xfe\x00",
    "nothing": b"",
}


def lying(path: Path, format: str, data: bytes) -> Path:
    if format == "tflite":
        embed(path, data)
    elif format == "onnx":
        model = onnx.load(path)
        # Text is UTF-8 there: what is not, protobuf does not write.
        model.metadata_props.add(key="keras_se", value=data.decode(errors="replace"))
        onnx.save(model, path)
    else:
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / "keras_se.json").write_bytes(data)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, exported: Any) -> dict[str, Path]:
    """A file of each format without a document."""
    folder = tmp_path_factory.mktemp("bare")
    found = {}
    for name in ("tflite", "onnx", "saved_model"):
        path = folder / FILES[name]
        if name == "saved_model":
            shutil.copytree(exported("se_resnet", name).path, path)
        elif name == "onnx":
            shutil.copyfile(exported("se_resnet", name).path, path)
        found[name] = foreign(path, name)
    return found


@pytest.mark.parametrize("format", ["tflite", "onnx", "saved_model"])
def test_a_foreign_file_says_nothing(bare: dict[str, Path], format: str) -> None:
    assert read_metadata(bare[format]) is None
    assert inspect(bare[format]).document is None


@pytest.mark.parametrize("format", ["tflite", "onnx", "saved_model"])
@pytest.mark.parametrize("lie", LIES)
def test_a_document_that_is_none(bare: dict[str, Path], format: str, lie: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[format]
    (shutil.copytree if bare[format].is_dir() else shutil.copyfile)(bare[format], path)
    assert read_metadata(lying(path, format, LIES[lie])) is None


@pytest.mark.parametrize("format", ["tflite", "onnx", "saved_model"])
def test_a_hostile_document_is_shown_as_text(bare: dict[str, Path], format: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[format]
    (shutil.copytree if bare[format].is_dir() else shutil.copyfile)(bare[format], path)
    parts = {
        "labels": ["[red]\x1b[2J", 3, None],
        "preprocessing": {"in_file": True, "size": "x"},
        "signatures": {"a": 1},
    }
    document = {"made_by": "keras_se", "version": [1], "parity": {"error": {"deep": "y" * 9999}}, **parts}
    found = inspect(lying(path, format, json.dumps(document).encode()))
    assert found.document == document
    printed = str(found)
    assert "\x1b" not in printed
    assert "[red]" in printed
    assert len(printed) < 12_000
    assert metadata.stored_preprocessing(document) is None


def test_inspect_tells_it(exported: Any) -> None:
    artifact = exported("se_resnet", "onnx")
    found = inspect(artifact.path)
    assert found.to_dict()["document"] == artifact.metadata
    assert "keras_se" not in found.metadata
    assert "Made by keras_se" in str(found)


def test_damaged_files_say_nothing(exported: Any, tmp_path: Path) -> None:
    for name, cuts in (("tflite", (0, 7, 100, 900)), ("onnx", (0, 7, 100, 9000))):
        content = exported("se_resnet", name).path.read_bytes()
        for cut in cuts:
            (tmp_path / FILES[name]).write_bytes(content[:cut])
            assert read_metadata(tmp_path / FILES[name]) is None
    rng = np.random.default_rng(0)
    for _ in range(100):
        content = bytearray(exported("se_resnet", "tflite").path.read_bytes())
        for place in rng.integers(len(content) - 2500, len(content), 4):
            content[place] = rng.integers(0, 256)
        (tmp_path / "model.tflite").write_bytes(content)
        found = read_metadata(tmp_path / "model.tflite")
        assert found is None or found["made_by"] == "keras_se"
    with pytest.raises(ValueError, match="no such file"):
        read_metadata(tmp_path / "missing.tflite")


def test_other_data_have_another_hash(tmp_path: Path) -> None:
    model, data = sample("se_resnet").model, sample("se_resnet").data
    first, second = (
        to_onnx(model, tmp_path / f"{i}.onnx", quantize="int8", calibration_data=data[:8] + i).metadata
        for i in range(2)
    )
    assert first["calibration"]["sha256"] != second["calibration"]["sha256"]
    assert first["source_sha256"] == second["source_sha256"]
