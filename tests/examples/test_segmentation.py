"""The segmentation example, shortened: how it counts, what it compares, refuses and writes; and its folder's reader."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from keras_se.layers import EXCITATIONS
from tests.support.paths import EXAMPLES

EXAMPLE = EXAMPLES / "segmentation.py"


@pytest.fixture(scope="module")
def segmentation() -> ModuleType:
    return import_module("segmentation")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images, JPEG and PNG, with masks of three classes; a file beside them that is none."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(10):
        mask = np.zeros((32, 48), "uint8")
        mask[4:20, 8 + i : 24 + i], mask[24:30, 10:40] = 1, 2
        pixels = 40 * mask[..., None] + rng.integers(0, 20, (32, 48, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.{'jpg' if i % 2 else 'png'}")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path


def run(*options: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, EXAMPLE, *options], capture_output=True, text=True, check=False)


# The folder


def test_a_folder_is_read_and_split(folder: Path) -> None:
    (x, y), (held_x, held_y), names = import_module("_shared.mask_folder").mask_folder(folder)
    assert names == ["class 0", "class 1", "class 2"]
    assert (x.shape, held_x.shape, x.dtype) == ((8, 32, 48, 3), (2, 32, 48, 3), np.float32)
    assert (y.shape, held_y.shape) == ((8, 32, 48), (2, 32, 48))
    for images, masks in ((x, y), (held_x, held_y)):
        for image, mask in zip(images, masks, strict=True):  # a mask is beside its own image
            means = [image[mask == label].mean() * 255 for label in range(3)]
            np.testing.assert_allclose(means, [10, 50, 90], atol=4)
            assert np.abs(image.mean(-1) * 255 / 40 - 0.25 - mask).mean() < 0.15
    assert len({image.tobytes() for image in (*x, *held_x)}) == 10


def test_masks_with_a_palette_are_numbers_too(folder: Path) -> None:
    path = folder / "masks" / "3.png"
    with Image.open(path) as mask:
        numbers = np.asarray(mask)
    coloured = Image.fromarray(numbers).convert("P")
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    coloured.save(path)
    mask_folder = import_module("_shared.mask_folder")
    np.testing.assert_array_equal(mask_folder._classes(path), numbers)
    assert len(mask_folder.mask_folder(folder)[2]) == 3


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def resized(name: str, size: tuple[int, int]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with Image.open(folder / name) as image:
            smaller = image.resize(size, Image.Resampling.NEAREST)
        smaller.save(folder / name)

    return change


def every_mask(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        for path in (folder / "masks").iterdir():
            with Image.open(path) as mask:
                pixels = np.asarray(mask)
            Image.fromarray(change(pixels)).save(path)

    return changed


def a_class_of_one_mask(folder: Path) -> None:
    every_mask(lambda mask: np.minimum(mask, 1))(folder)
    with Image.open(folder / "masks" / "3.png") as mask:
        pixels = np.array(mask)
    pixels[:2] = 2
    Image.fromarray(pixels).save(folder / "masks" / "3.png")


REFUSED = {
    "no images": (
        lambda folder: (folder / "images").rename(folder / "pictures"),
        r"^The folder must have images/ and masks/ in it\. Received: '.*' without images/$",
    ),
    "no masks": (
        lambda folder: (folder / "masks").rename(folder / "labels"),
        r"^The folder must have images/ and masks/ in it\. Received: '.*' without masks/$",
    ),
    "few images": (
        without(*(f"images/{i}.png" for i in (0, 2, 4, 6)), "images/1.jpg", "images/3.jpg"),
        r"^images/ must have 5 images or more\. Received: 4 in '.*'$",
    ),
    "a mask": (
        without("masks/7.png"),
        r"^masks/ must have a PNG for each image, of the same name\. Received: none for 7$",
    ),
    "masks": (
        without("masks/7.png", "masks/1.png", "masks/2.png", "masks/4.png"),
        r"^masks/ must have a PNG for each image, of the same name\. Received: none for 1, 2, 4, …$",
    ),
    "another image's size": (
        resized("images/5.jpg", (48, 40)),
        r"^All images and masks must have one size, that of 0\.png is \(32, 48\)\. Received: 5\.jpg of \(40, 48\)$",
    ),
    "another mask's size": (
        resized("masks/5.png", (40, 32)),
        r"^All images and masks must have one size, that of 0\.png is \(32, 48\)\. Received: 5\.png of \(32, 40\)$",
    ),
    "other masks' sizes": (
        every_mask(lambda mask: mask[::2, ::2]),
        r"^Masks must have the images' size, \(32, 48\)\. Received: masks of \(16, 24\)$",
    ),
    "colours": (
        every_mask(lambda mask: np.stack([mask] * 3, axis=-1)),
        r"^Masks must have one channel, .* \(0 to 255\)\. Received: 0\.png with the channels RGB$",
    ),
    "one class": (
        every_mask(lambda mask: mask * 0),
        r"^Masks must have .* two classes or more, each from 0 to .*\. Received: numbers up to 0, but not 1$",
    ),
    "a gap": (
        every_mask(lambda mask: (mask + 3 * (mask > 1)).astype("uint8")),
        r"^Masks must have .* two classes or more, each from 0 to .*\. Received: numbers up to 5, but not 2, 3, 4$",
    ),
    "a class of one mask": (
        a_class_of_one_mask,
        r"^Each class must be in so many masks that .* some are held out\. Received: too few masks with 2$",
    ),
    "a void": (
        every_mask(lambda mask: np.where(mask == 2, 255, mask).astype("uint8")),
        r"^Masks must have .*\. Received: numbers up to 255, but not 2, 3, 4, …$",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_folders_that_do_not_fit_are_refused(what: str, folder: Path) -> None:
    change, message = REFUSED[what]
    change(folder)
    with pytest.raises(ValueError, match=message):
        import_module("_shared.mask_folder").mask_folder(folder)


def test_black_and_white_masks(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        with Image.open(path) as mask:
            Image.fromarray(np.asarray(mask) > 0).save(path)
            expected = np.asarray(mask) > 0
        with Image.open(path) as mask:
            assert (mask.mode, (np.asarray(mask) == expected).all()) == ("1", True)
    (_, masks), _, classes = import_module("_shared.mask_folder").mask_folder(folder)
    assert (masks.dtype, set(masks.ravel()), classes) == (np.uint8, {0, 1}, ["class 0", "class 1"])


def test_each_class_is_in_both_parts(folder: Path) -> None:
    """Of 10 images 2 are held out: one of the two with the rare class, and any other."""
    rare = sorted((folder / "masks").iterdir())[:2]
    for path in (folder / "masks").iterdir():
        rows = np.arange(32)[:, None] * np.ones(48, int)
        Image.fromarray(np.where(rows < 16, 0, np.where(rows > 24, 1 + (path in rare), 1)).astype("uint8")).save(path)
    (_, masks), (_, held), _ = import_module("_shared.mask_folder").mask_folder(folder)
    assert set(masks.ravel()) == set(held.ravel()) == {0, 1, 2}


def test_a_wrong_folder_is_an_exit_status_of_2(segmentation: ModuleType, folder: Path) -> None:
    (folder / "masks" / "3.png").unlink()
    output = folder / "output"
    done = CliRunner().invoke(segmentation.main, ["--data", str(folder), "--output", str(output)])
    assert done.exit_code == 2
    assert done.output == ("Error: masks/ must have a PNG for each image, of the same name. Received: none for 3\n")
    (folder / "masks" / "3.png").write_text("no image")
    done = CliRunner().invoke(segmentation.main, ["--data", str(folder), "--output", str(output)])
    assert done.exit_code == 2
    assert "Images must be files that Pillow can read. Received: " in done.output
    assert not output.exists()


def test_small_images_are_refused(segmentation: ModuleType, folder: Path) -> None:
    for path in (*(folder / "images").glob("*.*g"), *(folder / "masks").iterdir()):
        resized(str(path.relative_to(folder)), (31, 40))(folder)
    with pytest.raises(ValueError, match=r"^Images must be of 32x32 pixels or more\. Received: 40x31$"):
        segmentation.of_folder(folder)


# What is compared, and how


def test_mean_iou(segmentation: ModuleType) -> None:
    masks = np.array([[[0, 0, 1], [2, 2, 2]]])
    found = np.array([[[0, 1, 1], [2, 2, 0]]])
    x = np.zeros((1, 2, 3, 3), "float32")
    data = segmentation.Data(x, masks, x, masks, ["background", "one", "two"])
    # 1 of 3 pixels of class 0, 1 of 2 of class 1, 2 of 3 of class 2.
    assert data.mean_iou(np.eye(3)[found], masks) == pytest.approx((1 / 3 + 1 / 2 + 2 / 3) / 3)
    assert data.mean_iou(np.eye(3)[masks], masks) == 1


def test_without_se_there_is_none(segmentation: ModuleType) -> None:
    x, y = np.zeros((2, 64, 64, 3), "float32"), np.zeros((2, 64, 64), "uint8")
    data = segmentation.Data(x, y, x, y, ["background", "one"])
    with_se, without_se = segmentation.build(data, True), segmentation.build(data, False)
    assert with_se.output_shape == without_se.output_shape == (None, 64, 64, 2)
    found = [layer.name for layer in with_se.layers if isinstance(layer, EXCITATIONS)]
    assert [name.split("_")[0] for name in found] == [
        *("stage1", "stage2", "stage3"),
        *("decoder1", "decoder2", "decoder3"),
    ]
    assert {layer.name for layer in without_se.layers} == {layer.name for layer in with_se.layers} - set(found)


def test_colours_change_and_nothing_moves(segmentation: ModuleType) -> None:
    images = np.random.default_rng(0).random((40, 8, 8, 3), "float32")
    changed = segmentation.in_other_colours(images, np.random.default_rng(0), share=1)
    assert changed.dtype == images.dtype
    kinds = set()
    for old, new in zip(images, changed, strict=True):
        candidates = {
            (order, inverted): (1 - old if inverted else old)[..., list(order)]
            for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
            for inverted in (False, True)
        }
        matching = [kind for kind, candidate in candidates.items() if np.array_equal(candidate, new)]
        assert len(matching) == 1
        kinds.update(matching)
    assert len(kinds) > 8


def test_some_keep_their_colours(segmentation: ModuleType) -> None:
    images = np.random.default_rng(0).random((400, 4, 4, 3), "float32")
    changed = segmentation.in_other_colours(images, np.random.default_rng(0))
    differ = (changed != images).any(axis=(1, 2, 3)).mean()
    assert 0.12 < differ < 0.25  # a fifth, of which one in twelve comes out as it was


def test_the_loss_is_cross_entropy_and_dice(segmentation: ModuleType) -> None:
    rng = np.random.default_rng(0)
    masks, found = rng.integers(0, 3, (2, 4, 5)), rng.dirichlet(np.ones(3), (2, 4, 5))
    wanted = np.eye(3)[masks]
    overlap = 2 * (wanted * found).sum((0, 1, 2)) / (wanted + found).sum((0, 1, 2))
    expected = -np.log((wanted * found).sum(-1)) + np.mean(1 - overlap)
    loss = keras.ops.convert_to_numpy(segmentation.loss(masks.astype("uint8"), found.astype("float32")))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.slow
def test_a_short_run_writes_everything(tmp_path: Path) -> None:
    done = run("--setting", "tests", "--output", tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert (done.returncode == 1) == ("less than" in done.stdout or "loses" in done.stdout), done.stdout
    for text in ("256 images of 7 classes to train on, 64 held out.", "1 seed", "SE changed the mean IoU by"):
        assert text in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("segmentation.keras", "segmentation.png", "segmentation.tflite", "segmentation_int8.tflite"),
        *("segmentation.onnx", "segmentation_int8.onnx"),
    }
    assert keras.saving.load_model(tmp_path / "segmentation.keras").output_shape == (None, 64, 64, 7)
    with Image.open(tmp_path / "segmentation.png") as picture:
        assert picture.width > 600
    assert (tmp_path / "segmentation.png").stat().st_size < 150_000


@pytest.mark.slow
def test_a_folder_of_ones_own(folder: Path, tmp_path: Path) -> None:
    done = run("--setting", "tests", "--data", folder, "--output", tmp_path / "output")
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "8 images of 3 classes to train on, 2 held out." in done.stdout
    assert (tmp_path / "output" / "segmentation_int8.tflite").exists()
