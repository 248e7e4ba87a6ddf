"""Calibration data in every form that people have it in, and what is no calibration data."""

import io
import os
import pathlib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_se.export import to_tflite
from keras_se.export.data.calibration import read_data
from keras_se.export.frontend.tensor_spec import Tensor, feeds_of
from tests.support.networks import sample

ONE = (Tensor("image", (4, 4, 3), "float32"),)
TWO = (Tensor("zebra", (4, 4, 3), "float32"), Tensor("apple", (2,), "float32"))
IMAGES = np.random.default_rng(0).standard_normal((6, 4, 4, 3)).astype("float32")
LABELS = np.arange(6)
PAIRS = np.random.default_rng(1).standard_normal((6, 2)).astype("float32")


def npy(folder):
    np.save(folder / "data.npy", IMAGES)
    return str(folder / "data.npy")


def npz(folder):
    np.savez(folder / "data.npz", anything=IMAGES)
    return folder / "data.npz"


def labelled_npz(folder):
    np.savez(folder / "labelled.npz", x=IMAGES, y=LABELS)
    return folder / "labelled.npz"


ONE_INPUT = {
    "array": lambda _: IMAGES,
    "float64": lambda _: IMAGES.astype("float64"),
    "nested lists": lambda _: IMAGES.tolist(),
    "list of one array": lambda _: [IMAGES],
    "mapping": lambda _: {"image": IMAGES},
    "tensor": lambda _: tf.constant(IMAGES),
    "npy": npy,
    "npz": npz,
    "generator": lambda _: (IMAGES[i : i + 2] for i in (0, 2, 4)),
    "generator of mappings": lambda _: ({"image": IMAGES[i : i + 4]} for i in (0, 4)),
    "generator of lists": lambda _: ([IMAGES[i : i + 3]] for i in (0, 3)),
    "dataset": lambda _: tf.data.Dataset.from_tensor_slices(IMAGES).batch(4),
    "dataset of mappings": lambda _: tf.data.Dataset.from_tensor_slices({"image": IMAGES}).batch(4),
    "(x, y)": lambda _: (IMAGES, LABELS),
    "npz of x and y": labelled_npz,
    "dataset with labels": lambda _: tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4),
    "representative_dataset": lambda _: lambda: ([IMAGES[i : i + 1]] for i in range(6)),
}


@pytest.mark.parametrize("form", ONE_INPUT)
def test_one_input(tmp_path, form):
    feeds = read_data(ONE, ONE_INPUT[form](tmp_path))
    assert list(feeds) == ["image"]
    assert feeds["image"].dtype == np.float32
    np.testing.assert_array_equal(feeds["image"], IMAGES)


@pytest.mark.parametrize("form", ["(x, y)", "npz of x and y", "dataset with labels"])
def test_labels_come_along(tmp_path, form):
    assert read_data(ONE, ONE_INPUT[form](tmp_path)).labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "labels",
    [
        [np.zeros((2, 3, 4)), np.zeros((4, 5, 4))],
        [{"head": LABELS[:2]}, {"head": LABELS[2:]}],
        [tf.ragged.constant([[1], [2, 3]]), tf.ragged.constant([[1], [], [2, 3], [4]])],
        [1, 2],
    ],
    ids=["boxes padded to each batch", "mappings", "ragged", "a number each"],
)
def test_labels_that_fit_in_no_array_are_left_out(labels):
    read = read_data(ONE, zip((IMAGES[:2], IMAGES[2:]), labels, strict=True))
    np.testing.assert_array_equal(read["image"], IMAGES)
    assert read.labels is None
    assert read_data(ONE, (IMAGES, labels[0])).first(3).samples == 3


def test_data_that_were_read_are_not_checked_again(monkeypatch):
    data = read_data(ONE, IMAGES)
    monkeypatch.setattr("keras_se.export.data.calibration.feeds_of", None)
    np.testing.assert_array_equal(read_data(ONE, data)["image"], data["image"])


def test_a_pair_of_samples_is_no_pair_of_inputs_and_labels():
    assert len(read_data(ONE, (IMAGES[0], IMAGES[1]))["image"]) == 2


BYTES = (Tensor("image", (2,), "uint8"),)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        *((Tensor("x", (2,), "uint8"), value) for value in (256, -1, 0.5, 255.5, 1e30, np.nan, np.inf)),
        *((Tensor("x", (2,), "int32"), value) for value in (2.0**31, -(2**40), 1e-3, -np.inf)),
        (Tensor("x", (2,), "bool"), 2),
    ],
)
def test_numbers_that_an_input_of_whole_numbers_cannot_hold(tensor, value):
    limits = {"uint8": "0 to 255", "int32": "-2147483648 to 2147483647", "bool": "0 to 1"}[tensor.dtype]
    with pytest.raises(
        ValueError, match=rf"^\w+ must be whole numbers from {limits} for the input 'x', of .* Received: "
    ):
        feeds_of((tensor,), np.array([[0, 1], [1, value]]))
    with pytest.raises(ValueError, match=r"^calibration_data must be whole numbers"):
        read_data((tensor,), (batch for batch in [np.array([[0, 1], [1, value]])]))


def test_floats_that_are_whole_numbers_in_range():
    (stored,) = feeds_of(BYTES, np.array([[0.0, 255.0], [3.0, 17.0]])).values()
    assert (stored.dtype, stored.tolist()) == (np.uint8, [[0, 255], [3, 17]])


def test_pixels_of_resized_images_are_rounded():
    (stored,) = read_data(BYTES, np.array([[0.4, 254.6], [3.0, 17.0]]), pixels=True).values()
    assert stored.tolist() == [[0, 255], [3, 17]]


@pytest.mark.parametrize("top", [0, 1])
def test_black_images_are_pixels_if_they_are_whole_numbers(top):
    black = np.array([[0, 0], [0, top]])
    assert read_data(BYTES, black, pixels=True)["image"].tolist() == black.tolist()
    with pytest.raises(ValueError, match=r"^calibration_data must be pixels from 0 to 255"):
        read_data(BYTES, black.astype("float32"), pixels=True)


def npz_by_name(folder):
    np.savez_compressed(folder / "data.npz", apple=PAIRS, zebra=IMAGES)
    return folder / "data.npz"


TWO_INPUTS = {
    "list in the model's order": lambda _: [IMAGES, PAIRS],
    "tuple": lambda _: (IMAGES, PAIRS),
    "mapping in another order": lambda _: {"apple": PAIRS, "zebra": IMAGES},
    "npz": npz_by_name,
    "generator of lists": lambda _: ([IMAGES[i : i + 2], PAIRS[i : i + 2]] for i in (0, 2, 4)),
    "generator of mappings": lambda _: ({"apple": PAIRS[i : i + 3], "zebra": IMAGES[i : i + 3]} for i in (0, 3)),
    "dataset": lambda _: tf.data.Dataset.from_tensor_slices((IMAGES, PAIRS)).batch(4),
    "dataset with labels": lambda _: tf.data.Dataset.from_tensor_slices(((IMAGES, PAIRS), LABELS)).batch(4),
    "(x, y)": lambda _: ((IMAGES, PAIRS), LABELS),
    "(mapping, y)": lambda _: ({"apple": PAIRS, "zebra": IMAGES}, LABELS),
    "generator of numbers": lambda _: iter([(IMAGES.tolist(), PAIRS.tolist())]),
}


@pytest.mark.parametrize("form", TWO_INPUTS)
def test_two_inputs(tmp_path, form):
    feeds = read_data(TWO, TWO_INPUTS[form](tmp_path))
    np.testing.assert_array_equal(feeds["zebra"], IMAGES)
    np.testing.assert_array_equal(feeds["apple"], PAIRS)


def test_whole_numbers_become_floats():
    feeds = read_data(ONE, np.full((2, 4, 4, 3), 255, "uint8"))
    assert feeds["image"].dtype == np.float32
    assert feeds["image"].max() == 255


def with_nan(value):
    broken = IMAGES.copy()
    broken[3, 1, 2, 0] = value
    return broken


BAD = {
    "nothing": (None, "given.*None"),
    "no samples": (IMAGES[:0], "at least one"),
    "empty list": ([], "shape"),
    "empty generator": (lambda: iter(()), "at least one batch"),
    "NaN": (with_nan(np.nan), "finite"),
    "infinity": (with_nan(np.inf), "finite"),
    "NaN in a later batch": (lambda: iter([IMAGES, with_nan(np.nan)]), "finite"),
    "one sample without a batch": (IMAGES[0], r"shape \(samples, 4, 4, 3\).*\(4, 4, 3\)"),
    "channels first": (IMAGES.transpose(0, 3, 1, 2), r"shape \(samples, 4, 4, 3\).*\(6, 3, 4, 4\)"),
    "another size": (np.zeros((6, 5, 4, 3)), r"shape \(samples, 4, 4, 3\).*\(6, 5, 4, 3\)"),
    "strings": (np.full((6, 4, 4, 3), "dark"), "numbers"),
    "complex numbers": (IMAGES.astype("complex64"), "numbers"),
    "ragged lists": ([[[1.0, 2.0], [3.0]]], "numbers"),
    "another name": ({"picture": IMAGES}, r"\['image'\].*\['picture'\]"),
    "a name too many": ({"image": IMAGES, "label": PAIRS}, r"\['image'\].*\['image', 'label'\]"),
    "a number": (7, "int"),
    "file of another kind": ("images.txt", r"\.npy or \.npz.*'images\.txt'"),
    "file that is missing": (pathlib.Path("/nowhere/images.npy"), r"exists.*/nowhere/images\.npy"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_calibration_data(case):
    data, message = BAD[case]
    with pytest.raises(ValueError, match=rf"^calibration_data must .*{message}"):
        read_data(ONE, data() if callable(data) else data)


def test_a_function_that_takes_arguments_is_no_data():
    with pytest.raises(ValueError, match=r"^calibration_data must .*a function without arguments .*'sample'"):
        read_data(ONE, lambda sample: sample)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES, r"one array for each of the inputs \['zebra', 'apple'\]"),
        ([IMAGES], "one array for each"),
        ([PAIRS, IMAGES], "shape"),
        ([IMAGES, PAIRS[:5]], r"same number of samples.*\[5, 6\]"),
        ({"zebra": IMAGES}, r"\['zebra', 'apple'\].*\['zebra'\]"),
    ],
    ids=["one array", "one of two", "wrong order", "lengths", "one name"],
)
def test_what_is_none_for_two_inputs(data, message):
    with pytest.raises(ValueError, match=rf"^calibration_data must .*{message}"):
        read_data(TWO, data)


def saved(save, *args, **kwargs):
    buffer = io.BytesIO()
    save(buffer, *args, **kwargs)
    return buffer.getvalue()


def damaged_member():
    """An archive that opens, whose array does not unpack."""
    content = bytearray(saved(np.savez_compressed, image=IMAGES))
    start = zipfile.ZipFile(io.BytesIO(content)).infolist()[0].header_offset + 60
    content[start : start + 40] = b"\xff" * 40
    return bytes(content)


UNREADABLE = {
    "empty.npy": lambda: b"",
    "empty.npz": lambda: b"",
    "truncated.npy": lambda: saved(np.save, IMAGES)[:-100],
    "header_only.npy": lambda: saved(np.save, IMAGES)[:40],
    "truncated.npz": lambda: saved(np.savez, image=IMAGES)[:-100],
    "damaged.npz": damaged_member,
    "text.npy": lambda: b"0.1, 0.2, 0.3\n",
    "text.npz": lambda: b"0.1, 0.2, 0.3\n",
    "no_arrays.npz": lambda: saved(np.savez),
    "strings.npy": lambda: saved(np.save, np.array(["dark", "light"])),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read(tmp_path, name):
    (tmp_path / name).write_bytes(UNREADABLE[name]())
    with pytest.raises(ValueError, match=r"^calibration_data must "):
        read_data(ONE, tmp_path / name)


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["trap.npy", "trap.npz"])
def test_a_pickle_is_not_unpacked(tmp_path, name):
    objects = np.array([Trap(tmp_path / "sprung")], dtype=object)
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, objects, allow_pickle=True)
    with pytest.raises(ValueError, match=r"^calibration_data must be a readable file of numbers"):
        read_data(ONE, tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_an_export_refuses_bad_data_before_it_writes(tmp_path, mode):
    network = sample("se_resnet")
    with pytest.raises(ValueError, match="calibration_data must be finite"):
        to_tflite(
            network.model, tmp_path / "a.tflite", quantize=mode, calibration_data=np.full_like(network.data, np.nan)
        )
    assert not list(tmp_path.iterdir())


def test_calibration_learns_the_ranges_of_the_data(exported, tmp_path):
    network = sample("sequential")
    small = to_tflite(
        network.model, tmp_path / "a.tflite", quantize="int8", calibration_data=network.data / 10, io_dtype="int8"
    )
    usual = exported("sequential", "tflite", "int8", io_dtype="int8")
    steps = [artifact.runner._inputs["image"]["quantization"][0] for artifact in (small, usual)]
    assert steps[0] * 10 == pytest.approx(steps[1], rel=1e-3)
