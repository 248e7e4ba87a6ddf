"""SavedModels that take pixels and image files, in a process without Keras."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_se.export import Artifact, ExportError, export, to_saved_model
from keras_se.export.saved_model import signatures
from keras_se.export.saved_model.image_ops import load_image
from keras_se.weights import Preprocessing
from tests.support.networks.exported import enliven, se_resnet

SIZE = (16, 16)
PREPARED = Preprocessing(size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25), crop=0.8, interpolation="bilinear")

# A server: everything of the file is called as its signatures say.
SERVER = """
import sys
sys.modules["keras"] = sys.modules["keras_se"] = None  # importing them fails
import numpy as np
import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures
given = np.load(sys.argv[2])
files = [given[name].tobytes() for name in sorted(given.files) if name.startswith("file")]
answers = {
    "serving_default": signatures["serving_default"](image=tf.constant(given["prepared"])),
    "serving_uint8": signatures["serving_uint8"](image=tf.constant(given["pixels"])),
    "serving_encoded": signatures["serving_encoded"](image_bytes=tf.constant(files)),
}
np.savez(sys.argv[3], **{name: answer["predictions"].numpy() for name, answer in answers.items()})
try:
    signatures["serving_encoded"](image_bytes=tf.constant([files[0], b"no image"]))
except tf.errors.InvalidArgumentError as error:
    print("refused", error.message[:20])
"""


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = se_resnet(name="served")
    rng = np.random.default_rng(3)
    enliven(model, [rng.normal(size=(24, *SIZE, 3)).astype("float32")])
    return model


@pytest.fixture(scope="module")
def served(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    path = tmp_path_factory.mktemp("served") / "model"
    return to_saved_model(model, path, signatures=("uint8", "encoded"), preprocessing=PREPARED)


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Coloured noise, coarse and fine, of any size."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype="uint8")).resize((width, height))
    fine = np.asarray(coarse) + rng.normal(0, 15, (height, width, 3))
    return Image.fromarray(fine.clip(0, 255).astype("uint8"))


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(count: int = 6) -> np.ndarray:
    return np.stack([np.asarray(photograph(*SIZE, seed)) for seed in range(count)])


def expected(model: keras.Model, images: np.ndarray) -> np.ndarray:
    prepared = (images / 255.0 - np.array(PREPARED.mean)) / np.array(PREPARED.std)
    return keras.ops.convert_to_numpy(model(prepared.astype("float32")))


def test_signatures_serve_without_keras(model: keras.Model, served: Artifact, tmp_path: Path) -> None:
    files = [stored(photograph(40 + 7 * i, 33, i), kind) for i, kind in enumerate(("PNG", "JPEG", "PNG", "JPEG"))]
    loaded = np.stack([PREPARED.load_image(io.BytesIO(file)) for file in files])
    x = pixels()
    prepared = ((x / 255.0 - np.array(PREPARED.mean)) / np.array(PREPARED.std)).astype("float32")
    given = {f"file{i}": np.frombuffer(file, "uint8") for i, file in enumerate(files)}
    np.savez(tmp_path / "given.npz", prepared=prepared, pixels=x, **given)
    command = [sys.executable, "-c", SERVER, str(served.path), *(str(tmp_path / f"{x}.npz") for x in ("given", "out"))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answers = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(answers["serving_default"], expected(model, x), atol=1e-5)
    np.testing.assert_allclose(answers["serving_uint8"], expected(model, x), atol=1e-5)
    # Files are resized: a level of 255 more or less here and there, which the network sees.
    np.testing.assert_allclose(answers["serving_encoded"], expected(model, loaded), atol=0.005)
    assert np.ptp(answers["serving_encoded"], axis=0).max() > 0.05
    assert done.stdout.startswith("refused")


def test_images_without_resizing_are_exact(model: keras.Model, served: Artifact) -> None:
    images = [photograph(20, 20, seed) for seed in range(3)]  # of the size before the crop
    function = tf.saved_model.load(str(served.path)).signatures["serving_encoded"]
    answers = function(image_bytes=tf.constant([stored(image) for image in images]))["predictions"].numpy()
    cropped = np.stack([np.asarray(image)[2:18, 2:18] for image in images])
    np.testing.assert_allclose(answers, expected(model, cropped), atol=1e-5)


def test_weights_are_stored_once(model: keras.Model, served: Artifact, tmp_path: Path) -> None:
    plain = to_saved_model(model, tmp_path / "plain")
    variables = [
        sum(file.stat().st_size for file in (path / "variables").iterdir()) for path in (plain.path, served.path)
    ]
    assert variables[1] < variables[0] + 2000
    assert served.size < 2 * plain.size


def test_metadata_lists_the_signatures(served: Artifact) -> None:
    document = served.metadata
    assert document is not None
    assert document["signatures"] == {
        "serving_encoded": [{"name": "image_bytes", "shape": [None], "dtype": "string"}],
        "serving_uint8": [{"name": "image", "shape": [None, 16, 16, 3], "dtype": "uint8"}],
    }
    assert document["inputs"] == [{"name": "image", "shape": [None, 16, 16, 3], "dtype": "float32"}]
    assert (document["preprocessing"]["in_file"], document["preprocessing"]["crop"]) == (False, 0.8)


# Levels that a resized image can differ by: Pillow computes in whole numbers, TensorFlow in floats. Where a size is a
# simple fraction of the other, many values of a bilinear one are half a level from both.
@pytest.mark.parametrize(
    ("interpolation", "most", "mean"),
    [("nearest", 0, 0), ("bilinear", 2, 0.12), ("bicubic", 1, 0.02), ("lanczos", 1, 0.02)],
)
@pytest.mark.parametrize("size", [(24, 24), (20, 31)])
@pytest.mark.parametrize("shape", [(97, 61), (61, 97), (24, 24), (13, 9), (300, 24)])
def test_resizing_matches_pillow(
    interpolation: str, most: int, mean: float, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    prepared = Preprocessing(size=size, interpolation=interpolation, crop=0.8)
    for kind in ("PNG", "JPEG"):
        file = stored(photograph(*shape), kind)
        wanted = prepared.load_image(io.BytesIO(file)).astype("float32")
        difference = np.abs(load_image(tf.constant(file), prepared).numpy() - wanted)
        assert difference.max() <= most
        assert difference.mean() <= mean


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA", "1", "CMYK"])
def test_image_modes_match_pillow(mode: str) -> None:
    prepared = Preprocessing(size=SIZE, crop=1.0)
    file = stored(photograph(*SIZE).convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    difference = load_image(tf.constant(file), prepared).numpy() - prepared.load_image(io.BytesIO(file))
    assert np.abs(difference).max() <= (2 if mode == "CMYK" else 0)


def test_16_bit_grey_image_matches_pillow() -> None:
    values = np.random.default_rng(0).integers(0, 2**16, SIZE, dtype="uint16")
    file, prepared = stored(Image.fromarray(values)), Preprocessing(size=SIZE, crop=1.0)
    loaded = prepared.load_image(io.BytesIO(file))
    np.testing.assert_array_equal(loaded, np.stack([values // 256] * 3, axis=-1))
    np.testing.assert_array_equal(load_image(tf.constant(file), prepared).numpy(), loaded)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_exif_orientation_is_applied(orientation: int, endian: str) -> None:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F], exif[0x0112] = "maker", orientation
    file = stored(photograph(40, 24), "JPEG", exif=exif)
    prepared = Preprocessing(size=(24, 24), crop=1.0, interpolation="bilinear")
    wanted = prepared.load_image(io.BytesIO(file)).astype("float32")
    assert np.abs(load_image(tf.constant(file), prepared).numpy() - wanted).max() <= 1


def test_signature_with_other_outputs_is_an_error(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(encoded: Any, prepared: Preprocessing) -> Any:
        return tf.roll(load_image(encoded, prepared), 1, axis=2)

    monkeypatch.setattr(signatures, "load_image", shifted)
    with pytest.raises(ExportError, match=r"^The signature serving_encoded of served does not compute what"):
        to_saved_model(model, tmp_path / "model", signatures=("uint8", "encoded"), preprocessing=PREPARED)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def told(model: keras.Model) -> Iterator[keras.Model]:
    model.preprocessing = PREPARED
    yield model
    del model.preprocessing


def test_preprocessing_of_the_model_and_fixed_batch(told: keras.Model, tmp_path: Path) -> None:
    x = ((pixels() / 255.0 - np.array(PREPARED.mean)) / np.array(PREPARED.std)).astype("float32")
    artifact, _ = export(
        told, tmp_path, ("saved_model", "tflite"), signatures="uint8", batch_size=4, verification_data=x
    )
    loaded = tf.saved_model.load(str(artifact.path)).signatures
    assert set(loaded) == {"serving_default", "serving_uint8"}
    answers = loaded["serving_uint8"](image=tf.constant(pixels(4)))["predictions"].numpy()
    np.testing.assert_allclose(answers, expected(told, pixels(4)), atol=1e-5)


def test_unknown_image_sizes_are_served(tmp_path: Path) -> None:
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="unsized")
    artifact = to_saved_model(model, tmp_path / "model", signatures=("encoded",), preprocessing=PREPARED)
    function = tf.saved_model.load(str(artifact.path)).signatures["serving_encoded"]
    file = stored(photograph(20, 20))
    answers = function(image_bytes=tf.constant([file]))["pool"].numpy()
    np.testing.assert_allclose(answers, expected(model, PREPARED.load_image(io.BytesIO(file))[None]), atol=1e-5)


WRONG = [
    (
        {"signatures": ("uint8",)},
        r"^signatures requires the preprocessing .* Received: signatures=\('uint8',\) for 'served'\.",
    ),
    (
        {"signatures": ("png",), "preprocessing": PREPARED},
        r"^signatures must be \"uint8\" or \"encoded\", or a list of them\.",
    ),
    ({"signatures": 3, "preprocessing": PREPARED}, r"^signatures must be"),
    (
        {"signatures": "uint8", "preprocessing": PREPARED, "verification_data": np.zeros((2, *SIZE, 3))},
        r"^verification_data must be pixels",
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_arguments_are_refused(model: keras.Model, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    for call in (
        lambda: to_saved_model(model, tmp_path / "model", **options),
        lambda: export(model, tmp_path, **options),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not list(tmp_path.iterdir())


def test_signatures_require_saved_model_and_images(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^signatures=.* requires formats=.saved_model.\."):
        export(model, tmp_path, ("tflite",), signatures="uint8", preprocessing=PREPARED)
    dense = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)], name="dense")
    dense.preprocessing = PREPARED
    with pytest.raises(ValueError, match=r"^preprocessing requires a model with one input, images of three channels\."):
        to_saved_model(dense, tmp_path / "model", signatures="uint8")
    assert not list(tmp_path.iterdir())
