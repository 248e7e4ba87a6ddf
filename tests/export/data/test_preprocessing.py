"""Files that take pixels: what was done to images before the network is in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.export import Artifact, export, to_microcontroller, to_onnx, to_saved_model, to_tflite
from keras_se.export.data.preprocessing import with_preprocessing
from keras_se.models import SEResNet
from keras_se.weights import Preprocessing

PREPARED = Preprocessing(size=(16, 16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25), classes=4)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return SEResNet(
        (1, 1), block="basic", filters=(8, 16), stem="small", input_shape=(16, 16, 3), classes=4, name="small"
    )


def pixels(samples: int = 24) -> np.ndarray:
    """Images that differ in level and contrast."""
    rng = np.random.default_rng(0)
    level, contrast = rng.uniform(60, 190, (samples, 1, 1, 3)), rng.uniform(5, 60, (samples, 1, 1, 1))
    return np.clip(level + contrast * rng.normal(size=(samples, 16, 16, 3)), 0, 255).astype("uint8")


def test_every_format_takes_pixels(model: keras.Model, tmp_path: Path) -> None:
    x = pixels()
    artifacts = export(
        model,
        tmp_path,
        quantize=(None, "dynamic", "int8", "int16x8"),
        calibration_data=x,
        verification_data=x,
        preprocessing=PREPARED,
    )
    prepared = (x / 255.0 - np.array(PREPARED.mean)) / np.array(PREPARED.std)
    expected = keras.ops.convert_to_numpy(model(prepared.astype("float32")))
    bounds = {None: 1e-5, "dynamic": 0.03, "int8": 0.06, "int16x8": 0.03}
    assert len(artifacts) == 7
    for artifact in artifacts:
        assert artifact.parity.passed
        assert np.abs(artifact.predict(x) - expected).max() < bounds[artifact.quantize], artifact.path.name


@pytest.mark.parametrize(
    ("mode", "dtype"), [(None, "uint8"), ("int8", "uint8"), ("selective", "uint8"), ("int16x8", "float32")]
)
def test_the_type_of_the_input(model: keras.Model, mode: str | None, dtype: str, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    data = pixels() if mode else None
    (artifact,) = export(model, tmp_path, ("tflite",), quantize=mode, calibration_data=data, preprocessing=PREPARED)
    (details,) = Interpreter(str(artifact.path)).get_input_details()
    assert np.dtype(details["dtype"]).name == dtype


def test_true_means_what_the_weights_say(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"^preprocessing must be .* Received: preprocessing=True for 'small'\. A \.keras file",
    ):
        export(model, tmp_path, ("tflite",), preprocessing=True)
    model.preprocessing = PREPARED
    try:
        (artifact,) = export(model, tmp_path, ("tflite",), preprocessing=True)
    finally:
        del model.preprocessing
    plain = to_tflite(model, tmp_path / "plain.tflite")
    prepared = PREPARED.preprocess_input(pixels(4))
    np.testing.assert_allclose(artifact.predict(pixels(4)), plain.predict(prepared), atol=1e-5)


@pytest.mark.parametrize("name", ["predictions", "image", "preprocessing", "plain"])
def test_names_are_kept(name: str) -> None:
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="preprocessing")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(4, name="predictions")(x), name=name)
    whole = with_preprocessing(model, PREPARED)
    assert (whole.name, whole.inputs[0].name, whole.layers[-1].name) == (name, "image", "predictions")
    x = pixels(2)
    expected = keras.ops.convert_to_numpy(model(PREPARED.preprocess_input(x)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(whole(x)), expected, atol=1e-5)


SINGLE = [
    (to_saved_model, {}),
    (to_onnx, {}),
    (to_onnx, {"quantize": "int8"}),
    (to_tflite, {}),
    (to_tflite, {"quantize": "int8"}),
    (to_microcontroller, {"quantize": "int8"}),
]


@pytest.mark.parametrize(("convert", "options"), SINGLE)
def test_each_format_takes_pixels_by_its_own_call(
    model: keras.Model, convert: Callable[..., Artifact], options: dict[str, Any], tmp_path: Path
) -> None:
    x = pixels()
    calibration = {"calibration_data": x} if options else {}
    artifact = convert(model, tmp_path / "small", preprocessing=PREPARED, **options, **calibration)
    prepared = (x / 255.0 - np.array(PREPARED.mean)) / np.array(PREPARED.std)
    expected = keras.ops.convert_to_numpy(model(prepared.astype("float32")))
    assert np.abs(artifact.predict(x) - expected).max() < (0.06 if options else 1e-5)
    (ends,) = artifact.runner.inputs
    assert (ends.name, ends.dtype) == ("image", "float32" if options and convert is not to_onnx else "uint8")
    if convert is to_tflite and options:
        assert artifact.runner._inputs["image"]["dtype"] is np.uint8


@pytest.mark.parametrize("convert", [to_saved_model, to_onnx, to_tflite, to_microcontroller])
def test_what_was_prepared_already_is_no_pixels(
    model: keras.Model, convert: Callable[..., Artifact], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^verification_data must be pixels from 0 to 255.*Received: values from"):
        convert(model, tmp_path / "small", preprocessing=PREPARED, verification_data=pixels() / 255)
    assert not list(tmp_path.iterdir())


def test_refuses_what_is_no_image(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)], name="dense")
    with pytest.raises(ValueError, match=r"^preprocessing requires .* Received: 'dense' with inputs \[\(5,\)\]$"):
        export(model, tmp_path, ("tflite",), preprocessing=PREPARED)
    assert not list(tmp_path.iterdir())
