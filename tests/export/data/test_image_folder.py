"""A folder of images as calibration data."""

import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se import cli
from keras_se.export import Images, to_onnx, to_tflite
from keras_se.export.data.calibration import calibration_sentence, read_data
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.models import SEResNet
from keras_se.weights import Preprocessing

SIZE = 12
PREPARED = Preprocessing(size=(99, 99), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25), interpolation="bilinear", crop=0.8)
LEVELS = {"cats": (40, 9), "dogs": (200, 3)}  # the class's grey, and how many there are


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Grey images, each of one shade: what becomes of them does not depend on how they are resized."""
    for name, (level, count) in LEVELS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((20, 30, 3), level + i, "uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.{'png' if i % 2 else 'bmp'}")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return SEResNet(
        (1,), block="basic", filters=(8,), stem="small", input_shape=(SIZE, SIZE, 3), classes=2, name="tiny"
    )


def shades(values: np.ndarray) -> list[int]:
    assert np.ptp(values, axis=(1, 2)).max() == 0
    return [int(value) for value in values[:, 0, 0, 0]]


def pixels_of(folder: Path, **options: int) -> list[int]:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    scaled = keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image)))
    feeds = read_data(InferenceModel(scaled).inputs, Images(folder, **options))
    return shades(feeds["image"])


def test_a_model_that_scales_itself_gets_pixels(folder: Path) -> None:
    assert sorted(pixels_of(folder)) == sorted(level + i for level, count in LEVELS.values() for i in range(count))


def test_classes_take_turns_as_far_as_they_go(folder: Path) -> None:
    chosen = pixels_of(folder, samples=8)
    assert len(chosen) == 8
    assert [shade >= 200 for shade in chosen[:6]] == [False, True] * 3
    assert all(shade < 200 for shade in chosen[6:])


def test_the_seed_decides(folder: Path) -> None:
    assert pixels_of(folder, samples=4, seed=1) == pixels_of(folder, samples=4, seed=1)
    assert len({tuple(pixels_of(folder, samples=4, seed=seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("given", ["with the images", "by the model"])
def test_images_are_prepared_as_the_model_wants_them(folder: Path, given: str) -> None:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    model = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
    if given == "by the model":
        model.preprocessing = PREPARED
    data = Images(folder, preprocessing=PREPARED if given == "with the images" else None)
    feeds = read_data(InferenceModel(model).inputs, data)
    # (x / 255 - mean) / std, of the darkest and the brightest
    assert feeds["image"].min(axis=(0, 1, 2)) == pytest.approx(
        (40 / 255 - np.array([0.5, 0.4, 0.3])) / [0.2, 0.3, 0.25]
    )
    assert feeds["image"].max(axis=(0, 1, 2)) == pytest.approx(
        (202 / 255 - np.array([0.5, 0.4, 0.3])) / [0.2, 0.3, 0.25]
    )
    assert feeds.classes == {"cats": 9, "dogs": 3}


def test_the_artifact_tells_what_was_seen(folder: Path, model: keras.Model, tmp_path: Path) -> None:
    data = Images(folder, preprocessing=PREPARED, samples=10)
    for convert, name in ((to_tflite, "a.tflite"), (to_onnx, "a.onnx")):
        seen = convert(model, tmp_path / name, quantize="int8", calibration_data=data).calibration
        assert (seen["samples"], seen["classes"]) == (10, {"cats": 7, "dogs": 3})
        (values,) = seen["inputs"].values()
        assert values["min"] < 0 < values["max"]
        text = calibration_sentence(seen)
        assert text.startswith("Calibrated on 10 samples: ")
        assert text.endswith("; 2 classes of 3 to 7 samples.")
    assert to_tflite(model, tmp_path / "b.tflite").calibration is None


def test_the_command_takes_a_folder(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="small").save(tmp_path / "small.keras")
    command = ["export", str(tmp_path / "small.keras"), "-o", str(tmp_path), "-f", "tflite", "-q", "int8"]
    assert cli.run([*command, "--calibration", str(folder), "--samples", "6"]) == 0
    said = r"Calibrated on 6 samples: image from 4\d to 202; 2 classes of 3 to 3 samples\."
    assert re.search(said, capfd.readouterr().out)
    assert cli.run([*command, "--samples", "6"]) == 2
    assert "--samples and --calibration-seed require a folder of images" in capfd.readouterr().err


@pytest.mark.parametrize("seed", [-1, 0.5, True, "1"])
def test_a_seed_is_a_whole_number(folder: Path, seed: object) -> None:
    with pytest.raises(ValueError, match=rf"seed must be an integer of 0 or more. Received: seed={seed!r}"):
        Images(folder, seed=seed)  # type: ignore[arg-type]


def broken(folder: Path, fault: str) -> None:
    path = folder / "cats" / "0.bmp"
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    elif fault == "text":
        path.write_text("no image")
    elif fault == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize("fault", ["truncated", "text", "empty"])
def test_a_broken_image_among_good_ones_is_named(folder: Path, model: keras.Model, tmp_path: Path, fault: str) -> None:
    broken(folder, fault)
    with pytest.raises(ValueError, match=r"The file must be an image that Pillow can read.*cats/0\.bmp"):
        to_tflite(model, tmp_path / "a.tflite", quantize="int8", calibration_data=Images(folder, PREPARED))
    assert not (tmp_path / "a.tflite").exists()


def test_what_is_no_file_is_no_image(folder: Path) -> None:
    os.mkfifo(folder / "cats" / "waiting.png")
    (folder / "cats" / "folder.png").mkdir()
    (folder / "cats" / "missing.png").symlink_to(folder / "nowhere.png")
    assert len(pixels_of(folder)) == 12


def test_what_cannot_be_right_is_refused(folder: Path, model: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    def refused(match: str, data: object, model: keras.Model = model) -> None:
        with pytest.raises(ValueError, match=match):
            to_tflite(model, tmp_path / "a.tflite", quantize="int8", calibration_data=data)

    refused("A folder of images requires the preprocessing", str(folder))
    refused(r"must be a folder with images.*without any", Images(tmp_path / "empty", PREPARED))
    refused("must be a folder that exists and can be read. Received: '/nope'", Images("/nope", PREPARED))
    refused("samples must be a positive integer", Images(folder, PREPARED, samples=0))
    grey = keras.Input((SIZE, SIZE, 1))
    refused("three channels", Images(folder, PREPARED), keras.Model(grey, keras.layers.Conv2D(2, 3)(grey)))
    pair = [keras.Input((SIZE, SIZE, 3), name=name) for name in "ab"]
    refused("a model with one input", Images(folder, PREPARED), keras.Model(pair, keras.layers.Add()(pair)))
    assert not (tmp_path / "a.tflite").exists()


@pytest.mark.parametrize("folder", ["", None, 3])
def test_what_is_no_folder(folder: object) -> None:
    with pytest.raises(ValueError, match=r"^folder must be a path, a str or an os\.PathLike\. Received: folder="):
        Images(folder)  # type: ignore[arg-type]
