"""How images are prepared for published weights, and what the networks' answers are called."""

import io
import math
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from keras_se.weights import Preprocessing
from keras_se.weights.preprocessing import from_config, labels
from tests.support.arrays import array
from tests.support.checkpoints import CONFIG, refusal, write

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pixels(*shape: int, dtype: Any = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


# Pixels


def standardised(x: np.ndarray, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> np.ndarray:
    """(x / 255 − mean) / std, in float64, a channel at a time."""
    channels = [(x[..., i].astype("float64") / 255 - mean[i]) / std[i] for i in range(3)]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (8, 9, 3), (2, 8, 9, 3), (1, 2, 8, 9, 3), (0, 8, 9, 3)])
def test_arrays_are_standardised(shape: tuple[int, ...], dtype: str) -> None:
    x = pixels(*shape, dtype=dtype)
    before = x.copy()
    actual = Preprocessing().preprocess_input(x)
    assert isinstance(actual, np.ndarray)
    assert (actual.dtype, actual.shape) == (np.float32, shape)
    np.testing.assert_allclose(actual, standardised(x), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_tensors_are_standardised(dtype: str) -> None:
    x = pixels(2, 8, 9, 3, dtype=dtype)
    actual = Preprocessing().preprocess_input(keras.ops.convert_to_tensor(x))
    assert keras.ops.is_tensor(actual)
    assert keras.backend.standardize_dtype(actual.dtype) == "float32"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(actual), standardised(x), rtol=0, atol=1e-6)


def test_it_can_be_part_of_a_network() -> None:
    image = keras.Input((8, 9, 3), dtype="uint8")
    model = keras.Model(image, Preprocessing().preprocess_input(image))
    x = pixels(2, 8, 9, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), standardised(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0, 0, 0), (1, 1, 1)), ((0.1, 0.2, 0.3), (3, 2, 1))]
)
def test_other_means_and_deviations(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    x = pixels(8, 9, 3)
    prepared = Preprocessing(mean=mean, std=std)
    np.testing.assert_allclose(prepared.preprocess_input(x), standardised(x, mean, std), rtol=0, atol=1e-6)
    scale, offset = prepared.scale_and_offset()
    assert (scale.dtype, offset.dtype, scale.shape, offset.shape) == (np.float32, np.float32, (3,), (3,))
    np.testing.assert_allclose(x * scale + offset, standardised(x, mean, std), rtol=0, atol=1e-6)


def test_channels_first(tmp_path: Path) -> None:
    x = pixels(2, 8, 9, 3)
    first = np.moveaxis(x, -1, 1)
    expected = np.moveaxis(standardised(x), -1, 1)
    prepared = Preprocessing((8, 9), crop=1.0)
    path = saved(Image.fromarray(x[0]), tmp_path / "image.png")
    np.testing.assert_array_equal(prepared.load_image(path, "channels_first"), first[0])
    np.testing.assert_allclose(prepared.preprocess_input(first, "channels_first"), expected, rtol=0, atol=1e-6)
    keras.config.set_image_data_format("channels_first")
    np.testing.assert_array_equal(prepared.load_image(path), first[0])
    np.testing.assert_array_equal(prepared.load_image(path, "channels_last"), x[0])
    np.testing.assert_allclose(prepared.preprocess_input(first), expected, rtol=0, atol=1e-6)
    tensor = keras.ops.convert_to_tensor(first)
    np.testing.assert_allclose(array(prepared.preprocess_input(tensor)), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(prepared.preprocess_input(x, "channels_last"), standardised(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "data_format"),
    [((8, 9, 1), None), ((3, 8, 9), None), ((), None), ((8, 9, 3), "channels_first"), ((3, 9), "channels_first")],
)
def test_images_of_other_channels(shape: tuple[int, ...], data_format: str | None) -> None:
    for x in (np.zeros(shape), keras.ops.zeros(shape)):
        message = refusal(lambda x=x: Preprocessing().preprocess_input(x, data_format))
        axis = -3 if data_format else -1
        assert message.startswith(f"x must have three channels on axis {axis} with data_format=")
        assert message.endswith(f"Received: shape {shape}")


def test_another_data_format() -> None:
    for call in (Preprocessing().preprocess_input, Preprocessing().load_image):
        message = refusal(lambda call=call: call(pixels(8, 9, 3), "NCHW"))
        assert message.startswith("data_format must be ")


# Images


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def shorter_side_and_centre(image: Image.Image, size: int, crop: float, interpolation: str) -> np.ndarray:
    """As torchvision's `Resize` of a number, and `CenterCrop`."""
    side = math.floor(size / crop)
    shorter, longer = sorted(image.size)
    other = int(side * longer / shorter)
    width, height = (side, other) if image.width <= image.height else (other, side)
    resized = np.asarray(image.resize((width, height), RESAMPLING[interpolation]))
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return resized[top : top + size, left : left + size]


# Width and height: both orders, a square, sizes around the resized one's, and ones that leave odd margins.
SIZES = [(500, 375), (375, 500), (300, 300), (257, 256), (256, 257), (231, 229), (331, 100), (40, 31), (64, 64), (1, 1)]


@pytest.mark.parametrize("interpolation", RESAMPLING)
@pytest.mark.parametrize(("size", "crop"), [(64, 0.875), (75, 0.95), (96, 1.0), (64, 0.6)])
def test_images_are_resized_and_cropped(size: int, crop: float, interpolation: str, tmp_path: Path) -> None:
    prepared = Preprocessing((size, size), interpolation=interpolation, crop=crop)
    for width, height in SIZES:
        image = Image.fromarray(pixels(height, width, 3))
        actual = prepared.load_image(saved(image, tmp_path / "image.png"))
        assert (actual.dtype, actual.shape) == (np.uint8, (size, size, 3))
        np.testing.assert_array_equal(actual, shorter_side_and_centre(image, size, crop, interpolation))


@pytest.mark.parametrize(
    ("width", "height", "resized"),
    # Of a network for 48x96 with a crop of 3/4: 64x128 are to be filled.
    [(100, 100, (128, 128)), (200, 50, (256, 64)), (50, 200, (128, 512)), (128, 64, (128, 64)), (129, 64, (129, 64))],
)
def test_sizes_that_are_no_square(width: int, height: int, resized: tuple[int, int], tmp_path: Path) -> None:
    image = Image.fromarray(pixels(height, width, 3))
    actual = Preprocessing((48, 96), crop=0.75).load_image(saved(image, tmp_path / "image.png"))
    whole = np.asarray(image.resize(resized, Image.Resampling.BICUBIC))
    top, left = (whole.shape[0] - 48) // 2, (whole.shape[1] - 96) // 2
    np.testing.assert_array_equal(actual, whole[top : top + 48, left : left + 96])


def test_an_image_of_the_size_stays_as_it_is(tmp_path: Path) -> None:
    x = pixels(32, 32, 3)
    path = saved(Image.fromarray(x), tmp_path / "image.png")
    np.testing.assert_array_equal(Preprocessing((32, 32), crop=1.0).load_image(path), x)
    # Resized to 40, of which the middle is kept: 32 of 40 pixels need no resizing.
    large = pixels(40, 40, 3)
    path = saved(Image.fromarray(large), tmp_path / "image.png")
    np.testing.assert_array_equal(Preprocessing((32, 32), crop=0.8).load_image(path), large[4:36, 4:36])


# What a camera that was held in each of the eight ways writes, of the image that was meant.
ORIENTATIONS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_images_are_turned_upright(orientation: int, suffix: str, tmp_path: Path) -> None:
    meant = np.zeros((32, 32, 3), "uint8")
    meant[:16, :16], meant[:16, 16:], meant[16:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    written = Image.fromarray(np.ascontiguousarray(ORIENTATIONS[orientation](meant)))
    path = saved(written, tmp_path / f"image{suffix}", exif=exif)
    actual = Preprocessing((32, 32), crop=1.0).load_image(path)
    corners = actual[::31, ::31].astype(int)
    np.testing.assert_allclose(corners, meant[::31, ::31], atol=40 if suffix == ".jpg" else 0)


def test_images_of_other_colours(tmp_path: Path) -> None:
    prepared = Preprocessing((32, 32), crop=1.0)
    x = pixels(32, 32, 4)

    def loaded(image: Image.Image, name: str) -> np.ndarray:
        return prepared.load_image(saved(image, tmp_path / name))

    grey = loaded(Image.fromarray(x[..., 0]), "grey.png")
    np.testing.assert_array_equal(grey, np.stack([x[..., 0]] * 3, axis=-1))
    bits = loaded(Image.fromarray(x[..., 0] > 127), "bits.png")
    np.testing.assert_array_equal(bits, np.stack([np.where(x[..., 0] > 127, 255, 0)] * 3, axis=-1))
    np.testing.assert_array_equal(loaded(Image.fromarray(x), "alpha.png"), x[..., :3])
    ink = loaded(Image.merge("CMYK", [Image.fromarray(x[..., i]) for i in range(4)]), "ink.tiff")
    expected = (255 - x[..., :3].astype(float)) * (255 - x[..., 3:]) / 255
    np.testing.assert_allclose(ink, expected, atol=2)
    palette = Image.fromarray(x[..., 0]).convert("P")
    np.testing.assert_array_equal(loaded(palette, "palette.png"), np.asarray(palette.convert("RGB")))


def test_images_from_memory_and_from_text(tmp_path: Path) -> None:
    x = pixels(32, 32, 3)
    path = saved(Image.fromarray(x), tmp_path / "image.png")
    prepared = Preprocessing((32, 32), crop=1.0)
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(prepared.load_image(source), x)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(64, 64, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(64, 64, 3)).save(buffer, "JPEG")
    return buffer.getvalue()


NO_IMAGES = {
    "empty": b"",
    "text": b"this is no image",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "the beginning of a png": png()[:8],
    "half a png": png()[: len(png()) // 2],
    "a png of another size": png()[:16] + b"\xff\xff\xff\xff" + png()[20:],
    "a png of no size": png()[:16] + bytes(8) + png()[24:],
    "the beginning of a jpeg": jpeg()[:20],
    "half a jpeg": jpeg()[: len(jpeg()) // 2],
    "a ppm of letters": b"P6\n2a 2 255\n" + bytes(12),
    "a gif without pixels": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_files_that_are_no_images(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "image.png", NO_IMAGES[name])
    message = refusal(lambda: Preprocessing().load_image(path))
    assert message.startswith(f"The file must be an image that Pillow can read. Received: {str(path)!r} (")


@pytest.mark.parametrize("path", ["missing.png", "", None, 3.5])
def test_images_that_are_not_there(path: Any) -> None:
    message = refusal(lambda: Preprocessing().load_image(path))
    assert message.startswith("The file must be an image that Pillow can read. Received: ")


def test_images_too_large_to_be_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = saved(Image.fromarray(pixels(64, 64, 3)), tmp_path / "image.png")
    assert "decompression bomb" in refusal(lambda: Preprocessing().load_image(path))


def test_images_that_would_become_too_large(tmp_path: Path) -> None:
    for shape in ((60_000, 1), (1, 60_000)):
        path = saved(Image.fromarray(np.zeros(shape, "uint8")), tmp_path / "image.png")
        message = refusal(lambda path=path: Preprocessing().load_image(path))
        assert message.startswith(f"A resized image must have at most {Image.MAX_IMAGE_PIXELS} pixels. ")
        assert "15360000" in message


def test_the_package_that_reads_images_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"^This requires PIL, .*pip install 'keras-se\[weights\]'$"):
        Preprocessing().load_image("image.png")


# Answers


def test_the_classes_of_imagenet() -> None:
    names = labels()
    assert len(names) == len({number for number, _ in names}) == 1000
    assert all(number[0] == "n" and len(number) == 9 and number[1:].isdigit() for number, _ in names)
    assert all(name and name == name.strip() and name.isprintable() for _, name in names)
    assert [number for number, _ in names] == sorted(number for number, _ in names)
    known = {
        0: ("n01440764", "tench"),
        1: ("n01443537", "goldfish"),
        2: ("n01484850", "great white shark"),
        207: ("n02099601", "golden retriever"),
        281: ("n02123045", "tabby"),
        285: ("n02124075", "Egyptian cat"),
        463: ("n02909870", "bucket"),
        779: ("n04146614", "school bus"),
        954: ("n07753592", "banana"),
        999: ("n15075141", "toilet tissue"),
    }
    for index, (number, name) in known.items():
        assert names[index][0] == number
        assert names[index][1].startswith(name)


def test_classes_of_one_name() -> None:
    assert {labels().index(label) for label in labels() if label[1].startswith("crane")} == {134, 517}
    assert labels()[134][0] == "n02012849"  # the bird
    assert labels()[517][0] == "n03126707"  # the machine
    assert labels()[638][0] != labels()[639][0]  # two kinds of maillot


def test_the_likeliest_come_first() -> None:
    predictions = np.zeros((2, 1000), "float32")
    predictions[0, [999, 0, 281]] = 0.2, 0.5, 0.3
    predictions[1, 207] = 1
    first, second = Preprocessing().decode_predictions(predictions, top=3)
    assert [(name.split(",")[0], p) for _, name, p in first] == [
        ("tench", 0.5),
        (labels()[281][1].split(",")[0], pytest.approx(0.3)),
        (labels()[999][1].split(",")[0], pytest.approx(0.2)),
    ]
    assert second[0] == (*labels()[207], 1.0)
    assert [type(value) for value in second[0]] == [str, str, float]


def test_equal_ones_keep_their_order() -> None:
    predictions = np.zeros((1, 1000))
    predictions[0, [700, 30, 31]] = 0.25
    (best,) = Preprocessing().decode_predictions(predictions, top=5)
    assert [labels().index((number, name)) for number, name, _ in best] == [30, 31, 700, 0, 1]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "bool", "float16", "float64"])
def test_answers_of_other_types(dtype: str) -> None:
    """A network on a device answers in whole numbers, too."""
    predictions = np.zeros((1, 1000), dtype)
    predictions[0, 281] = 1
    if dtype == "int8":
        predictions[0] = -128
        predictions[0, 281] = 127
    (best,) = Preprocessing().decode_predictions(predictions, top=2)
    assert [label[:2] for label in best] == [labels()[281], labels()[0]]


def test_answers_are_tensors_or_lists() -> None:
    predictions = np.random.default_rng(0).uniform(size=(3, 1000)).astype("float32")
    expected = Preprocessing().decode_predictions(predictions)
    assert [len(best) for best in expected] == [5, 5, 5]
    assert Preprocessing().decode_predictions(keras.ops.convert_to_tensor(predictions)) == expected
    half = keras.ops.cast(predictions, "bfloat16")
    likeliest = [labels()[i] for i in array(half).argmax(axis=1)]
    assert [best[0][:2] for best in Preprocessing().decode_predictions(half, top=1)] == likeliest
    assert Preprocessing().decode_predictions(predictions[:0]) == []


def test_more_than_there_are() -> None:
    (best,) = Preprocessing().decode_predictions(np.zeros((1, 1000)), top=5000)
    assert [label[:2] for label in best] == list(labels())


@pytest.mark.parametrize("shape", [(1000,), (1, 10), (1, 1001), (1, 1, 1000), (1000, 1), ()])
def test_answers_of_other_shapes(shape: tuple[int, ...]) -> None:
    message = refusal(lambda: Preprocessing().decode_predictions(np.zeros(shape)))
    assert message == (
        f"predictions must have the shape (batch, 1000), for the classes of ImageNet. Received: shape {shape}"
    )


@pytest.mark.parametrize("top", [0, -1, 2.5, None, "5", True])
def test_a_top_that_is_no_number(top: Any) -> None:
    message = refusal(lambda: Preprocessing().decode_predictions(np.zeros((1, 1000)), top=top))
    assert message == f"top must be a positive integer. Received: top={top!r}"


# Fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 224),
        ("size", (224,)),
        ("size", (224, 0)),
        ("size", (224, 2.5)),
        ("size", ("224", "224")),
        ("mean", 0.5),
        ("mean", (0.5, 0.5)),
        ("mean", (0.5, 0.5, math.nan)),
        ("std", (0.2, 0, 0.2)),
        ("std", (0.2, True, 0.2)),
        ("interpolation", "cubic"),
        ("interpolation", None),
        ("interpolation", ["bicubic"]),
        ("crop", 0),
        ("crop", 1.5),
        ("crop", "1"),
        ("classes", 0),
        ("classes", 2.5),
        ("classes", True),
        ("classes", math.inf),
    ],
)
def test_fields_are_checked(field: str, value: Any) -> None:
    message = refusal(lambda: Preprocessing(**{field: value}))
    assert message.startswith(f"{field} must be ")
    assert message.endswith(f"Received: {field}={value!r}")


def test_lists_become_tuples() -> None:
    prepared = Preprocessing(size=[32, 32], mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    assert prepared == Preprocessing(size=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    assert hash(prepared) == hash(Preprocessing(size=(32, 32), mean=(0.5,) * 3, std=(0.5,) * 3))


# Descriptions


def test_what_is_not_described_is_as_usual() -> None:
    assert from_config({}) == Preprocessing()
    assert Preprocessing() == Preprocessing((224, 224), MEAN, STD, "bicubic", 0.875, 1000)


def test_what_is_described() -> None:
    config = {
        "input_size": [3, 240, 320],
        "mean": [0.5, 0, 1],
        "std": [1, 0.5, 0.25],
        "interpolation": "bilinear",
        "crop_pct": 1,
        "num_classes": 11221,
    }
    assert from_config(config) == Preprocessing((240, 320), (0.5, 0, 1), (1, 0.5, 0.25), "bilinear", 1, 11221)
    for key, value in config.items():
        field = {"input_size": "size", "crop_pct": "crop", "num_classes": "classes"}.get(key, key)
        changed = from_config({key: value})
        others = {name for name in vars(changed) if getattr(changed, name) != getattr(Preprocessing(), name)}
        assert others == {field}


def test_null_is_not_described() -> None:
    keys = ["input_size", "mean", "std", "crop_pct", "num_classes", "interpolation", "crop_mode"]
    assert from_config(dict.fromkeys(keys)) == Preprocessing()


def test_what_the_test_checkpoints_describe() -> None:
    prepared = from_config({**CONFIG["pretrained_cfg"], "num_classes": CONFIG["num_classes"]})
    assert prepared == Preprocessing((32, 32), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear", 0.9, 5)
