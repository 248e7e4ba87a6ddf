"""An export that is killed at any moment leaves whole files under their names, or none."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_se import cli
from keras_se._files import STAGING_PREFIX
from tests.support.networks.exported import se_resnet

NAMES = ("small_saved_model", "small.tflite", "small.onnx")


@dataclass(frozen=True)
class Undisturbed:
    """Two models with their exports, and how long the command takes in seconds: to a first file, and from there on."""

    old: Path
    new: Path
    beginning: float
    writing: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folders = [tmp_path_factory.mktemp(name) for name in ("old", "new")]
    for seed, folder in enumerate(folders):
        keras.utils.set_random_seed(seed)
        se_resnet(name="small").save(folder / "small.keras")
    old, new = folders
    assert cli.run(["export", str(old / "small.keras"), "-o", str(old)]) == 0
    start = time.monotonic()
    process = started(new, new)
    until_a_file_is_begun(process, new)
    begun = time.monotonic()
    assert process.wait() == 0
    return Undisturbed(old, new, begun - start, time.monotonic() - begun)


def started(source: Path, folder: Path) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    command = [Path(sys.executable).with_name("keras-se"), "export", source / "small.keras", "-o", folder, "--force"]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )


def until_a_file_is_begun(process: subprocess.Popen[bytes], folder: Path) -> None:
    while process.poll() is None and not any(folder.glob(f"{STAGING_PREFIX}*")):
        time.sleep(0.002)


@dataclass(frozen=True)
class Moment:
    """Seconds after the start of the command, or after it has begun with a file: other jobs can make that later."""

    seconds: float
    of_writing: bool


def killed_at(moment: Moment, source: Path, folder: Path) -> bool:
    """Whether the export was still at work."""
    process = started(source, folder)
    try:
        if moment.of_writing:
            until_a_file_is_begun(process, folder)
        process.wait(moment.seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def is_copy(path: Path, original: Path) -> bool:
    """Whether a file, or all files of a folder, have the same bytes."""
    one, other = (
        {file.relative_to(root): file.read_bytes() for file in [root, *root.rglob("*")] if file.is_file()}
        for root in (path, original)
    )
    return one == other


def check_kills(undisturbed: Undisturbed, folder: Path, moments: Sequence[Moment]) -> tuple[int, int]:
    """Kills an export at each moment, every other one where older files are to be replaced.

    Returns:
        How many were killed at work, and how many of those had left a part of a file in their hidden folder.
    """
    killed = parts = 0
    for i, moment in enumerate(moments):
        output = folder / str(i)
        replacing = i % 2 == 1
        if replacing:
            shutil.copytree(undisturbed.old, output)
            (output / "small.keras").unlink()
        else:
            output.mkdir()
        killed += killed_at(moment, undisturbed.new, output)
        for name in NAMES:
            path = output / name
            if path.exists():
                same = [is_copy(path, origin / name) for origin in (undisturbed.new, undisturbed.old)[: 1 + replacing]]
                assert any(same), f"{path} is not whole, {moment}"
            else:
                # A folder cannot be swapped in one step: between two renames there is none.
                assert not replacing or name == NAMES[0], f"{path} was there and is not, {moment}"
        others = {path.name for path in output.iterdir()} - set(NAMES)
        assert all(name.startswith(STAGING_PREFIX) for name in others), "what is left is hidden"
        parts += any(any((output / name).iterdir()) for name in others)
    return killed, parts


def moments(count: int, seconds: float, of_writing: bool) -> list[Moment]:
    """Random ones, one in each of `count` equal parts of the time."""
    edges = np.linspace(0, seconds, count + 1)
    return [Moment(float(at), of_writing) for at in np.random.default_rng(0).uniform(edges[:-1], edges[1:])]


def test_a_few_kills_while_files_are_written(undisturbed: Undisturbed, tmp_path: Path) -> None:
    killed, _ = check_kills(undisturbed, tmp_path, moments(3, undisturbed.writing / 2, of_writing=True))
    assert killed >= 1
    left = tmp_path / "0"
    (left / f"{STAGING_PREFIX}left").mkdir()  # whatever the kill has left
    (left / f"{STAGING_PREFIX}left" / "small.onnx").write_bytes(b"part")
    assert cli.run(["export", str(undisturbed.new / "small.keras"), "-o", str(left), "--force"]) == 0
    assert all(is_copy(left / name, undisturbed.new / name) for name in NAMES)


@pytest.mark.slow
def test_fifty_kills(undisturbed: Undisturbed, tmp_path: Path) -> None:
    whole = moments(25, undisturbed.beginning + undisturbed.writing, of_writing=False)
    writing = moments(25, undisturbed.writing, of_writing=True)
    killed, parts = check_kills(undisturbed, tmp_path, [*whole, *writing])
    assert killed >= 30, "the moments are those of the work"
    assert parts >= 2, "some kills came while a file was written or verified"
