"""All formats in one call; and files that cannot be opened, or are not the model's."""

import re

import keras
import numpy as np
import pytest

from keras_se.export import FORMATS, Artifact, ExportError, export, to_onnx, verify
from keras_se.export.onnx import convert as onnx_format
from tests.support.arrays import relative_error
from tests.support.networks import sample
from tests.support.networks.exported import se_resnet

ALL = tuple(FORMATS)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_format_is_written_under_the_models_name(tmp_path):
    network = sample("se_resnet")
    artifacts = export(network.model, tmp_path)
    assert [artifact.path.name for artifact in artifacts] == [
        "se_resnet_saved_model",
        "se_resnet.tflite",
        "se_resnet.onnx",
    ]
    assert files(tmp_path) == sorted(artifact.path.name for artifact in artifacts)
    for artifact in artifacts:
        assert artifact.parity.passed
        assert relative_error(network.expected["predictions"], artifact.predict(network.data)) < 1e-5


@pytest.mark.slow
def test_every_mode_is_written(tmp_path):
    network, started = sample("se_resnet"), []
    modes = FORMATS["tflite"].modes
    artifacts = export(
        network.model,
        str(tmp_path),
        formats=("onnx", "tflite"),
        quantize=modes,
        calibration_data=network.data,
        io_dtype="int8",
        on_start=lambda path: started.append((path, path.exists())),
    )
    expected = [
        "se_resnet.onnx",
        "se_resnet_float16.onnx",
        "se_resnet_int8.onnx",
        "se_resnet.tflite",
        "se_resnet_float16.tflite",
        "se_resnet_dynamic.tflite",
        "se_resnet_int8.tflite",
        "se_resnet_int16x8.tflite",
        "se_resnet_selective.tflite",
    ]
    assert [artifact.path.name for artifact in artifacts] == expected
    assert started == [(tmp_path / name, False) for name in expected], "told before, in order"
    assert [artifact.quantize for artifact in artifacts] == [*FORMATS["onnx"].modes, *modes]
    # The type of the ends is for the mode that has it.
    ends = {artifact.quantize: artifact.runner._inputs["image"]["dtype"] for artifact in artifacts[3:]}
    assert ends.pop("int8") is ends.pop("selective") is np.int8
    assert set(ends.values()) == {np.float32}


def test_options_go_to_the_formats_that_have_them(tmp_path):
    model = se_resnet(name="model>1")
    artifacts = export(model, tmp_path, batch_size=2, opset=15, layout="nchw")
    assert files(tmp_path) == ["model_1.onnx", "model_1.tflite", "model_1_saved_model"]
    assert [artifact.runner._batch for artifact in artifacts] == [2, 2, 2]
    assert artifacts[2].runner._session.get_inputs()[0].shape == [2, 3, 16, 16]


def test_all_targets_are_checked_before_any_is_written(tmp_path):
    (tmp_path / "se_resnet.onnx").write_text("mine")
    started = []
    with pytest.raises(FileExistsError, match=r"se_resnet\.onnx"):
        export(se_resnet(), tmp_path, on_start=started.append)
    assert files(tmp_path) == ["se_resnet.onnx"]
    assert started == []
    export(se_resnet(), tmp_path, ("onnx",), overwrite=True)
    assert Artifact.open(tmp_path / "se_resnet.onnx").format == "onnx"


BAD = {
    "format": ({"formats": ("tflite", "coreml")}, "formats must be one of .*'coreml'"),
    "no format": ({"formats": ()}, "formats and quantize must not be empty"),
    "a string": ({"formats": "coreml"}, "formats must be one of .*'coreml'"),
    "mode": ({"quantize": ("float16", "int4")}, "quantize must be one of .*'int4'"),
    "no mode": ({"quantize": ()}, "formats and quantize must not be empty"),
    "io_dtype of no mode": ({"io_dtype": "int4"}, "io_dtype must be one of 'float32', 'int8', 'uint8', 'int16'"),
    "io_dtype of a mode that is not asked for": ({"io_dtype": "int8"}, "io_dtype='int8' requires .*quantize='int8'"),
    "io_dtype of another mode": ({"io_dtype": "int16", "quantize": "int8"}, "requires .*quantize='int16x8'"),
    "io_dtype without TFLite": (
        {"io_dtype": "int8", "quantize": "int8", "formats": ("onnx",)},
        "io_dtype='int8' requires formats='tflite' with quantize='int8'",
    ),
    "no calibration": ({"quantize": (None, "int8")}, "calibration_data must be given"),
    "bad calibration": (
        {"quantize": "int8", "calibration_data": np.zeros((2, 2))},
        r"calibration_data must have the shape \(samples, 16, 16, 3\)",
    ),
    "opset": ({"opset": 99}, "opset must be one of"),
    "layout": ({"layout": "chwn"}, "layout must be one of"),
    "batch": ({"batch_size": 0, "formats": ("tflite",)}, "batch_size must be a positive integer"),
    "metadata beside a folder": (
        {"metadata_file": True, "formats": ("saved_model",)},
        "metadata_file requires a format of single files, tflite or onnx",
    ),
    "verification data": ({"verification_data": np.zeros((2, 2))}, "shape"),
}


def test_unknown_sizes_are_refused_before_anything_is_written(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="map")(image), name="unsized")
    with pytest.raises(ValueError, match="input_shape must give every size"):
        export(model, tmp_path)
    assert files(tmp_path) == []
    artifacts = export(model, tmp_path, input_shape=(8, 8, 3))
    assert [artifact.parity.passed for artifact in artifacts] == [True] * 3


@pytest.mark.parametrize("case", BAD)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        export(se_resnet(), tmp_path, **options)
    assert files(tmp_path) == []


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(NotADirectoryError, match="missing"):
        export(se_resnet(), tmp_path / "missing")
    assert files(tmp_path) == []


def test_a_failed_conversion_is_one_sentence(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyError("\n\nno such operator\nlong\ntrace")

    monkeypatch.setattr(onnx_format, "float_graph", fail)
    with pytest.raises(ExportError, match=r"^Exporting se_resnet to onnx failed: [^\n]+$"):
        to_onnx(se_resnet(), tmp_path / "model.onnx")
    assert files(tmp_path) == []


def unreadable(exported, name):
    """The content of a file of that name which no runtime can read."""
    if name.startswith("truncated"):
        content = exported("se_resnet", name.split(".")[-1]).path.read_bytes()
        return content[: len(content) // 3]
    return b"" if name.startswith("empty") else np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize("kind", ["truncated", "empty", "random"])
@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize("opened", [Artifact.open, lambda path: verify(path, sample("se_resnet").model)])
def test_a_broken_file_is_a_value_error(exported, tmp_path, kind, suffix, opened):
    path = tmp_path / f"{kind}.{suffix}"
    path.write_bytes(unreadable(exported, path.name))
    with pytest.raises(ValueError, match=rf"file must be readable by (LiteRT|ONNX Runtime).*{kind}\.{suffix}"):
        opened(path)


def test_a_broken_saved_model_is_a_value_error(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="file must be readable by TensorFlow"):
        Artifact.open(tmp_path)


@pytest.mark.parametrize("name", ["missing.tflite", "missing.onnx", "missing", "missing.pt"])
def test_a_missing_file_is_a_value_error(tmp_path, name):
    with pytest.raises(ValueError, match=rf"(no such file|file must be).*{name}|{name}.*(no such file|not found)"):
        Artifact.open(tmp_path / name)


def test_another_kind_of_file_is_a_value_error(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"")
    known = re.escape("file must be one of *_saved_model, *.tflite, *_microcontroller, *.onnx")
    with pytest.raises(ValueError, match=rf"{known}.*model\.pt"):
        Artifact.open(tmp_path / "model.pt")
    with pytest.raises(ValueError, match="not one of these"):
        Artifact.open(tmp_path)


@pytest.mark.parametrize("format", ALL)
def test_a_file_of_another_model_is_refused(exported, format):
    with pytest.raises(ValueError, match=r"same inputs and outputs.*'predictions'.*'logits'"):
        verify(exported("se_resnet", format).path, sample("sequential").model)


@pytest.mark.parametrize("format", ALL)
def test_a_file_of_a_model_with_other_sizes_is_refused(exported, format):
    """The same names, but other images: the file runs on these or not at all."""
    other = se_resnet(classes=7)
    with pytest.raises(ValueError, match="shape"):
        verify(exported("se_resnet", format).path, other)


@pytest.mark.parametrize("format", ALL)
def test_verify_compares_on_as_many_samples_as_it_is_given(exported, format):
    artifact, network = exported("two_inputs", format), sample("two_inputs")
    for parity, samples in (
        (verify(artifact.path, network.model).parity, 8),
        (verify(artifact.path, network.model, samples=3).parity, 3),
        (verify(artifact.path, network.model, network.data).parity, 24),
    ):
        assert (parity.passed, parity.samples) == (True, samples)
    packed = verify(artifact.path, network.model).predict(network.data)
    assert {name: output.shape for name, output in packed.items()} == {"map": (24, 16, 16, 2), "label": (24, 5)}
