"""Hostile inputs of the command: one sentence, the right exit status, no waiting, and nothing left behind."""

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se import cli
from keras_se.export import Images, export
from keras_se.export.data.calibration import read_data
from keras_se.export.frontend.tensor_spec import Tensor
from keras_se.weights import Preprocessing
from tests.support.hostile_files import (
    IMAGES,
    SIZE,
    among_good_ones,
    array,
    arrays,
    both,
    changed,
    content,
    cut,
    fifo,
    folder,
    image,
    keras_file,
    link,
    npy_header,
    png,
    zip_bomb,
)

SECONDS = 120  # importing TensorFlow in another process takes 20 on a machine that is busy
MEMORY = 3 * 2**30

Prepare = Callable[[], Any]

# In place of calibration data: how it is made, and what is to be read in the sentence.
DATA: dict[str, tuple[Prepare, str]] = {
    "nothing.npy": (content("nothing.npy", b""), "readable file of numbers"),
    "text.npy": (content("text.npy", b"0.1, 0.2, 0.3"), "readable file of numbers"),
    "cut.npy": (cut("cut.npy", array("cut.npy", IMAGES)), "readable file of numbers"),
    "claims.npy": (content("claims.npy", npy_header((2**40, SIZE, SIZE, 3))), "readable file of numbers"),
    "overflowing.npy": (content("overflowing.npy", npy_header((2**62, 2**62))), "readable file of numbers"),
    "negative.npy": (content("negative.npy", npy_header((-3, SIZE, SIZE, 3))), "readable file of numbers"),
    "objects.npy": (array("objects.npy", np.array([{"a": 1}, None])), "readable file of numbers"),
    "strings.npy": (array("strings.npy", np.full((6, SIZE, SIZE, 3), "dark")), "numbers"),
    "dates.npy": (array("dates.npy", np.zeros((6, SIZE, SIZE, 3), "datetime64[s]")), "numbers"),
    "records.npy": (array("records.npy", np.zeros((6, SIZE, SIZE, 3), "f4,i4")), "numbers"),
    "complex.npy": (array("complex.npy", IMAGES.astype("complex64")), "numbers"),
    "number.npy": (array("number.npy", np.float32(3)), "shape"),
    "flat.npy": (array("flat.npy", IMAGES.reshape(6, -1)), "shape"),
    "one.npy": (array("one.npy", IMAGES[0]), "shape"),
    "grey.npy": (array("grey.npy", IMAGES[..., :1]), "shape"),
    "first.npy": (array("first.npy", IMAGES.transpose(0, 3, 1, 2)), "shape"),
    "none.npy": (array("none.npy", IMAGES[:0]), "at least one"),
    "nan.npy": (changed("nan.npy", lambda x: np.put(x, 77, np.nan)), "finite"),
    "infinite.npy": (changed("infinite.npy", lambda x: np.put(x, 7, -np.inf)), "finite"),
    "astronomic.npy": (array("astronomic.npy", IMAGES.astype("float64") * 1e300), "finite"),
    "cut.npz": (cut("cut.npz", arrays("cut.npz", image=IMAGES)), "readable file of numbers"),
    "names.npz": (arrays("names.npz", left=IMAGES, right=IMAGES), r"the inputs \['image'\].*\['left', 'right'\]"),
    "none.npz": (arrays("none.npz"), r"the inputs \['image'\].*\[\]"),
    "text.npz": (content("text.npz", b"PK\x03\x04 and no archive"), "readable file of numbers"),
    "bomb.npz": (zip_bomb("bomb.npz"), "readable file of numbers.*unpacks to"),
    "waiting.npy": (fifo("waiting.npy"), "that exists"),
    "zero.npy": (link("zero.npy", "/dev/zero"), "that exists"),
    "/dev/zero": (lambda: None, "that exists"),
    "loop.npz": (link("loop.npz", "loop.npz"), "that exists"),
    "folder.npy": (folder("folder.npy"), "a folder with images"),
}

# A file among good images in a folder.
AMONG_IMAGES = {
    "nothing.webp": b"",
    "page.jpg": b"<html><body>404 Not Found</body></html>",
    "cut.jpg": image("JPEG")[:400],
    "cut.png": image("PNG")[:500],
    "cut.webp": image("WEBP")[:300],
    "huge.png": png(60_000, 60_000, b""),
    "empty.png": png(0, 0, b""),
    "claims.png": png(300, 300, b"\x00\x01"),
    "narrow.png": png(2_000_000, 1, bytes(6_000_001)),
}

# In place of MODEL.
MODELS: dict[str, tuple[Prepare, str]] = {
    "nothing.keras": (content("nothing.keras", b""), "that Model.save wrote"),
    "cut.keras": (cut("cut.keras", lambda: shutil.copy("small.keras", "cut.keras")), "that Model.save wrote"),
    "text.keras": (content("text.keras", b"weights"), "that Model.save wrote"),
    "bare.keras": (lambda: zipfile.ZipFile("bare.keras", "w").close(), "that Keras can load"),
    "list.keras": (keras_file("list.keras", [1, 2]), "that Keras can load"),
    "prose.keras": (keras_file("prose.keras", "no JSON"), "that Keras can load"),
    "deep.keras": (keras_file("deep.keras", "[" * 100_000), "that Keras can load"),
    "command.keras": (
        keras_file("command.keras", {"module": "os", "class_name": "system", "config": "touch sprung"}),
        "that Keras can load",
    ),
    "unknown.keras": (
        keras_file("unknown.keras", {"module": "mine", "class_name": "Net", "config": {}, "registered_name": "Net"}),
        "that Keras can load",
    ),
    "lambda.keras": (lambda: with_a_lambda("lambda.keras"), "that Keras can load.*[Ll]ambda"),
    "weights.keras": (lambda: without_weights("weights.keras"), "that Keras can load"),
    "waiting.keras": (fifo("waiting.keras"), "file that exists"),
    "zero.keras": (link("zero.keras", "/dev/zero"), "file that exists"),
    "loop.keras": (link("loop.keras", "loop.keras"), "file that exists"),
    "folder.keras": (folder("folder.keras"), "config.json|weights"),
}

# In place of FILE.
FILES: dict[str, Prepare] = {
    "nothing.tflite": content("nothing.tflite", b""),
    "text.tflite": content("text.tflite", b"This is a text, and no network."),
    "noise.tflite": content("noise.tflite", b"\x20\0\0\0TFL3" + np.random.default_rng(0).bytes(4000)),
    "zero.tflite": link("zero.tflite", "/dev/zero"),
    "waiting.tflite": fifo("waiting.tflite"),
    "folder.tflite": folder("folder.tflite"),
    "loop.tflite": link("loop.tflite", "loop.tflite"),
    "text.onnx": content("text.onnx", b"This is a text, and no network."),
    "waiting.onnx": fifo("waiting.onnx"),
    "zero.onnx": link("zero.onnx", "/dev/zero"),
    "folder.onnx": folder("folder.onnx"),
    "rubbish_saved_model": both(folder("rubbish_saved_model"), content("rubbish_saved_model/saved_model.pb", b"x")),
    "waiting_saved_model": both(folder("waiting_saved_model"), fifo("waiting_saved_model/saved_model.pb")),
}

# In place of the folder for files.
FOLDERS: dict[str, tuple[Prepare, str]] = {
    "missing": (lambda: None, "directory must be a folder that exists"),
    "file": (content("file", b"x"), "directory must be a folder that exists"),
    "waiting": (fifo("waiting"), "directory must be a folder that exists"),
    "loop": (link("loop", "loop"), "directory must be a folder that exists"),
    "/dev/null": (lambda: None, "directory must be a folder that exists"),
    # Nobody can make a file there, not even root.
    "/sys": (lambda: None, "folder of the file must be writable"),
    "/proc": (lambda: None, "folder of the file must be writable"),
}

# Under the name of the file to write, which may be replaced.
TARGETS: dict[str, tuple[Prepare, str]] = {
    "a FIFO": (fifo("small.onnx"), "never replaced"),
    "a link to a device": (link("small.onnx", "/dev/full"), "never replaced"),
    "a link to itself": (link("small.onnx", "small.onnx"), "never replaced"),
    "a link to nothing": (link("small.onnx", "nowhere"), "never replaced"),
    "a folder of things": (both(folder("small.onnx"), content("small.onnx/thesis", b"x")), "never replaced"),
}

NO_ROOM = "could not be written|No space left|File too large"
INT8 = ("-f", "tflite", "-q", "int8")
TABLES: tuple[dict[str, Any], ...] = (DATA, AMONG_IMAGES, MODELS, FILES, FOLDERS, TARGETS)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """It scales its pixels itself, so that a folder of images can calibrate it."""
    pixels = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(
        keras.layers.Rescaling(1 / 255, name="scaled")(pixels)
    )
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(pixels, keras.layers.Dense(3, name="logits")(x), name="small")


@pytest.fixture(autouse=True)
def in_folder(model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model.save("small.keras")


def with_a_lambda(name: str) -> None:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(name)


def without_weights(name: str) -> None:
    with zipfile.ZipFile("small.keras") as whole, zipfile.ZipFile(name, "w") as part:
        for member in ("metadata.json", "config.json"):
            part.writestr(member, whole.read(member))


def names() -> set[str]:
    """All that there is, hidden folders too."""
    return {str(path) for path in Path.cwd().rglob("*")}


@contextmanager
def bounded() -> Iterator[None]:
    """Who waits for ever, or reads without end, gets an error instead."""

    def late(*_: object) -> None:
        raise AssertionError(f"it was not done after {SECONDS} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str, status: int = 2) -> None:
    before = names()
    with bounded():
        assert cli.run(arguments) == status
    printed = capfd.readouterr().err
    (line,) = [line for line in printed.splitlines() if line.startswith("Error: ")]
    assert re.search(sentence, line), line
    assert not line.startswith("Error: ["), "an errno is no sentence"
    assert len(line) < 600, "a sentence, not a page"
    assert "Traceback" not in printed
    assert names() == before


@pytest.mark.parametrize("name", DATA)
def test_calibration_data(capfd: pytest.CaptureFixture[str], name: str) -> None:
    prepare, sentence = DATA[name]
    prepare()
    refused(capfd, ["export", "small.keras", *INT8, "--calibration", name], f"calibration_data must .*{sentence}")


@pytest.mark.parametrize("name", AMONG_IMAGES)
def test_an_image_among_good_ones(capfd: pytest.CaptureFixture[str], name: str) -> None:
    among_good_ones(name, AMONG_IMAGES[name])()
    refused(capfd, ["export", "small.keras", *INT8, "--calibration", "photos"], rf"image .*{re.escape(name)}")


@pytest.mark.parametrize("name", MODELS)
def test_models(capfd: pytest.CaptureFixture[str], name: str) -> None:
    prepare, sentence = MODELS[name]
    prepare()
    refused(capfd, ["export", name, "-f", "onnx"], sentence)
    assert not Path("sprung").exists()


@pytest.mark.parametrize("command", ["verify", "inspect", "benchmark"])
@pytest.mark.parametrize("name", FILES)
def test_files(capfd: pytest.CaptureFixture[str], name: str, command: str) -> None:
    FILES[name]()
    model = ["small.keras"] if command == "verify" else []
    refused(capfd, [command, name, *model], rf"(?i)file must .*{name}")


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_for_files(capfd: pytest.CaptureFixture[str], name: str) -> None:
    prepare, sentence = FOLDERS[name]
    prepare()
    refused(capfd, ["export", "small.keras", "-f", "onnx", "-o", name], sentence)


@pytest.mark.parametrize("name", TARGETS)
def test_what_has_the_name_of_the_file(capfd: pytest.CaptureFixture[str], name: str) -> None:
    prepare, sentence = TARGETS[name]
    prepare()
    before = os.lstat("small.onnx")
    refused(capfd, ["export", "small.keras", "-f", "onnx", "--force"], sentence)
    after = os.lstat("small.onnx")
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of a file fail, as on a full disk: Python ignores the signal that comes first."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("format", ["saved_model", "tflite", "onnx", "microcontroller"])
def test_no_room_for_a_file(capfd: pytest.CaptureFixture[str], format: str) -> None:
    with largest_file(700):
        refused(capfd, ["export", "small.keras", "-f", format], NO_ROOM, status=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 KiB, where the machine lets the tests mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a disk cannot be mounted here; test_no_room_for_a_file has a limit of the process instead")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("format", ["saved_model", "tflite", "onnx", "microcontroller"])
def test_a_full_disk(capfd: pytest.CaptureFixture[str], small_disk: Path, format: str) -> None:
    taken = small_disk / "other"
    taken.write_bytes(bytes(16 * 1024))
    refused(capfd, ["export", "small.keras", "-f", format, "-o", str(small_disk)], NO_ROOM, status=1)
    assert taken.stat().st_size == 16 * 1024


@keras.saving.register_keras_serializable("hostile")
class Vanishing(keras.layers.Layer):
    """Removes a folder while the network is converted."""

    folder: Path | None = None

    def call(self, x: Any) -> Any:
        if self.folder is not None:
            shutil.rmtree(self.folder)
            Vanishing.folder = None
        return x


@pytest.mark.parametrize("format", ["tflite", "onnx"])  # TensorFlow makes the folder of a SavedModel anew
def test_a_folder_that_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(2, 3), Vanishing()], name="gone")
    (tmp_path / "output").mkdir()
    monkeypatch.setattr(Vanishing, "folder", tmp_path / "output")
    with bounded(), pytest.raises(NotADirectoryError, match=r"folder of the file must exist.*output/gone"):
        export(model, tmp_path / "output", format)
    assert not (tmp_path / "output").exists()


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder, in a process without the rights of root, whom no mode stops."""
    with tempfile.TemporaryDirectory() as name:  # those of pytest can be entered by their owner alone
        os.chmod(name, 0o755)
        among_good_ones("more.png", image("PNG"))()
        shutil.move("photos", name)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(name) / "photos"
        finally:
            os.seteuid(user)
            os.chmod(Path(name) / "photos", 0o755)


@pytest.mark.parametrize("locked", [".", "more.png"])
def test_what_may_not_be_read(as_nobody: Path, locked: str) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    os.chmod(as_nobody / locked, 0)
    os.seteuid(user)
    inputs = (Tensor("image", (SIZE, SIZE, 3), "float32"),)
    with bounded(), pytest.raises(ValueError, match=rf"(calibration_data|The file) must be .*{as_nobody.name}"):
        read_data(inputs, Images(as_nobody, Preprocessing()))


def test_a_member_with_a_path_is_not_unpacked_to_it(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with zipfile.ZipFile("small.keras", "a") as archive:
        for name in ("../sprung", "../../sprung", str(tmp_path / "sprung"), "assets/../../sprung"):
            archive.writestr(name, "x")
    before = names()
    with bounded():
        assert cli.run(["export", "small.keras", "-f", "onnx"]) in (0, 2)
    assert names() - before <= {str(tmp_path / "small.onnx")}
    assert not (tmp_path.parent / "sprung").exists()
    assert not (tmp_path.parent.parent / "sprung").exists()


def test_there_are_many() -> None:
    assert sum(map(len, TABLES)) >= 40
