"""Files appear whole or not at all, whatever happens on the way."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import tensorflow as tf

from keras_se import _files as files_module
from keras_se._files import published
from keras_se.export import export, to_saved_model, to_tflite
from tests.support.cases import case
from tests.support.networks.exported import se_resnet


def write(path, kind, text="new"):
    """A file, or a folder like a SavedModel's, written in parts."""
    if kind == "file":
        with open(path, "w") as file:
            for letter in text:
                file.write(letter)
                file.flush()
    else:
        path.mkdir()
        for name in ("saved_model.pb", "fingerprint.pb"):
            (path / name).write_text(text)


def read(path):
    """What is there: `None`, a file's text, or a folder's files."""
    if path.is_dir():
        return {file.name: file.read_text() for file in path.iterdir()}
    return path.read_text() if path.exists() else None


NEW = {"file": "new", "folder": {"saved_model.pb": "new", "fingerprint.pb": "new"}}
KINDS = list(NEW)


def any_folder(folder: Path) -> str:
    """A rule by which every folder may be replaced."""
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_appears_at_the_end(tmp_path, kind):
    with published(tmp_path / "model") as staged:
        write(staged, kind)
        assert not (tmp_path / "model").exists()
    assert read(tmp_path / "model") == NEW[kind]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_leaves_nothing(tmp_path, kind, overwrite):
    def fail():
        with published(tmp_path / "model", overwrite, any_folder) as staged:
            write(staged, kind)
            raise KeyboardInterrupt

    if overwrite:
        write(tmp_path / "model", kind, "old")
    before = read(tmp_path / "model")
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert read(tmp_path / "model") == before
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if overwrite else [])


@pytest.mark.parametrize("kind", KINDS)
def test_what_exists_is_replaced_only_when_asked(tmp_path, kind):
    write(tmp_path / "model", kind, "old")
    old = read(tmp_path / "model")
    with pytest.raises(FileExistsError, match=r"model' exists already.*overwrite=True"), published(tmp_path / "model"):
        pytest.fail("nothing may be done before")
    assert read(tmp_path / "model") == old
    with published(tmp_path / "model", True, any_folder) as staged:
        write(staged, kind)
    assert read(tmp_path / "model") == NEW[kind]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_taken_meanwhile_is_kept(tmp_path, kind):
    def race():
        with published(tmp_path / "model") as staged:
            write(staged, kind)
            write(tmp_path / "model", kind, "theirs")

    with pytest.raises(OSError, match=r"exists|not empty"):
        race()
    assert "theirs" in str(read(tmp_path / "model"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files_module.os, "link", refuse)
    with published(tmp_path / "model") as staged:
        write(staged, "file")
    assert read(tmp_path / "model") == "new"


@pytest.mark.parametrize("name", ["missing/model", "file/model"])
def test_the_folder_must_exist(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=f"folder of the file must exist.*{name}"), published(tmp_path / name):
        pytest.fail("nothing may be done before")


def test_the_folder_must_be_writable(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")  # the tests may run as root, whom no mode stops

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError, match=r"folder of the file must be writable.*model"):
        to_tflite(se_resnet(), tmp_path / "model.tflite")


@pytest.mark.parametrize("convert", [to_tflite, to_saved_model])
def test_overwriting_does_not_delete_a_folder_of_other_things(tmp_path, convert):
    """`overwrite` replaces an export by an export. A path to somebody's folder is a mistake."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(OSError, match="thesis"):
        convert(se_resnet(), tmp_path / "thesis", overwrite=True)
    assert read(tmp_path / "thesis") == {"chapter1.txt": "years of work"}


LEFT_BY_OTHERS = ("thesis.txt", "assets.extra/tf_serving_warmup_requests", "variables/notes", "mine/chapter1.txt")


@pytest.mark.parametrize("name", LEFT_BY_OTHERS)
def test_overwriting_keeps_foreign_files_of_a_saved_model(tmp_path, name):
    folder = tmp_path / "model"
    to_saved_model(se_resnet(), folder)
    to_saved_model(se_resnet(), folder, overwrite=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(
        FileExistsError, match=rf"model' is the folder of a SavedModel that also holds '{name}', and is never"
    ):
        to_saved_model(se_resnet(), folder, overwrite=True)
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize("by", ["keras", "tensorflow"])
def test_a_saved_model_of_others_is_replaced(tmp_path, by):
    if by == "keras":
        se_resnet().export(tmp_path / "model", verbose=False)
    else:
        module = tf.Module()
        module.file = tf.saved_model.Asset(str(tmp_path / "labels.txt"))
        (tmp_path / "labels.txt").write_text("cat")
        tf.saved_model.save(module, str(tmp_path / "model"))
        assert (tmp_path / "model" / "assets" / "labels.txt").is_file()
    assert to_saved_model(se_resnet(), tmp_path / "model", overwrite=True).parity.passed


@pytest.mark.parametrize("path", ["", None, 3, b"m.tflite"])
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match=r"^path must be a path, a str or an os.PathLike. Received: path="):
        to_tflite(se_resnet(), path)
    with pytest.raises(ValueError, match=r"^directory must be a path"):
        export(se_resnet(), path)


@pytest.mark.parametrize("name", ["x" * 300, "ü" * 130])
def test_a_name_that_is_too_long(tmp_path, name):
    with pytest.raises(ValueError, match=r"^The name of the file must have at most 255 bytes. Received"):
        to_tflite(se_resnet(), tmp_path / f"{name}.tflite")


def test_paths_go_by_their_names(tmp_path):
    assert to_tflite(model=se_resnet(), path=tmp_path / "m.tflite").path == tmp_path / "m.tflite"
    assert len(export(model=se_resnet(), directory=tmp_path, formats="onnx")) == 1


# Forks a process for each line that runs in files.py, and kills it there. Prints what is under the final name then.
KILLED_AT_EVERY_LINE = """
import importlib.util, os, signal, sys
from pathlib import Path

source, kind, overwrite = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
spec = importlib.util.spec_from_file_location("files", source)
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)


def write(path, text):
    if kind == "file":
        path.write_text(text)
    else:
        path.mkdir()
        (path / "saved_model.pb").write_text(text)
        (path / "fingerprint.pb").write_text(text)


def killer(line):
    def trace(frame, event, argument):
        nonlocal line
        if frame.f_code.co_filename not in (source, "<string>"):
            return None
        line -= event == "line"
        if line < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    return trace


def publish(target):
    with files.published(target, overwrite, lambda folder: "") as staged:
        write(staged, "new")


for line in range(1000):
    target = Path(sys.argv[4]) / str(line) / "model"
    target.parent.mkdir()
    if overwrite:
        write(target, "old")
    child = os.fork()
    if child == 0:
        sys.settrace(killer(line))
        publish(target)
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if target.is_dir():
        print("+".join(sorted(file.name[0] + file.read_text() for file in target.iterdir())))
    else:
        print(target.read_text() if target.exists() else "absent")
    if status == 0:
        break
"""


@pytest.mark.parametrize("overwrite", [case(False, slow=True), True])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_line_it_leaves_all_or_nothing(tmp_path, kind, overwrite):
    command = [sys.executable, "-c", KILLED_AT_EVERY_LINE, files_module.__file__, kind, str(overwrite), str(tmp_path)]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert len(seen) > 15, "as many moments were tried"
    whole = {"file": ("old", "new"), "folder": ("fold+sold", "fnew+snew")}[kind]
    # A folder cannot be swapped in one step: between two renames there is none.
    allowed = {whole[1], whole[0] if overwrite else "absent"} | ({"absent"} if kind == "folder" else set())
    assert set(seen) <= allowed
    assert seen[-1] == whole[1]
    assert seen[0] == (whole[0] if overwrite else "absent")


EXPORT = """
import sys
from keras_se.export import FORMATS
from keras_se.models import SEResNet

model = SEResNet((1, 1), block="basic", filters=(8, 16), stem="small", input_shape=(16, 16, 3), classes=10)
FORMATS[sys.argv[1]].convert(model, sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("written", [False, True], ids=["before it is written", "while it is verified"])
@pytest.mark.parametrize("format", ["saved_model", "tflite", "onnx"])
def test_an_export_that_is_killed_leaves_no_file(tmp_path, format, written):
    target = tmp_path / "model"
    process = subprocess.Popen([sys.executable, "-c", EXPORT, format, str(target)], stderr=subprocess.DEVNULL)
    try:
        while not moment_has_come(tmp_path, written):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert not target.exists()
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".keras_se."), "what is left is hidden"


def moment_has_come(folder: Path, written: bool) -> bool:
    staging = [path for path in folder.iterdir() if path.name.startswith(".")]
    return bool(staging) and (not written or any(staging[0].iterdir()))


def replace(target: Path) -> None:
    with published(target, True, any_folder) as staged:
        staged.mkdir()
        (staged / "saved_model.pb").write_text("new")


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
def test_folder_is_restored_if_its_replacement_fails(tmp_path, monkeypatch, error):
    target = tmp_path / "model"
    (target / "variables").mkdir(parents=True)
    (target / "saved_model.pb").write_text("old")
    rename = os.rename

    def second_fails(source, destination):
        if os.path.basename(source) == "model" and os.path.dirname(source) != str(tmp_path):
            raise error
        rename(source, destination)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(type(error)):
        replace(target)
    assert (target / "saved_model.pb").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
