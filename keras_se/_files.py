"""Writes files and folders atomically: they appear complete or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STAGING_PREFIX = ".keras_se."
LONGEST_NAME = 255
# Errors of the disk, which is full or broken, rather than of the path.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# Returns why an existing folder cannot be replaced without loss, such as "a folder with notes.txt", or "" if it can.
Rule = Callable[[Path], str]


def only_empty(folder: Path) -> str:
    """The rule for files that are not exports: of folders, only empty ones may be replaced."""
    return "a folder that is not empty" if any(folder.iterdir()) else ""


@contextmanager
def published(path: str | os.PathLike, overwrite: bool = False, replaceable: Rule = only_empty) -> Iterator[Path]:
    """Yields a path to write a file or a folder to, which is renamed to `path` when the block ends without an error.

    Until then it lies in a hidden folder beside `path`, which is removed in any case. A process that is killed can
    leave that folder behind, but never a partial file named `path`.

    Args:
        path: The final path.
        overwrite: Whether an existing file or folder may be replaced.
        replaceable: Tells which folders may be replaced with `overwrite`.

    Raises:
        FileExistsError: if `path` exists and may not be replaced.
        NotADirectoryError, PermissionError: if the folder of `path` is missing, vanishes, or cannot be written to.
        OSError: if the disk is full.
    """
    final = Path(path)
    check_target(final, overwrite, replaceable)
    try:
        staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=final.parent))
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise _disk_error(final, error) from error
        raise PermissionError(f"The folder of the file must be writable. Received: {str(final)!r} ({error})") from error
    try:
        yield staging / final.name
        _place(staging / final.name, final, overwrite, replaceable, staging)
    except Exception as error:
        if not staging.is_dir():
            raise NotADirectoryError(
                f"The folder of the file must exist until the file is written. Received: {str(final)!r}"
            ) from error
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise _disk_error(final, error) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_path(path: Any, argument: str = "path") -> None:
    """Raises a `ValueError` for a value that is not a path."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes) or os.fspath(path) == "":
        raise ValueError(f"{argument} must be a path, a str or an os.PathLike. Received: {argument}={path!r}")


def check_target(path: Path, overwrite: bool, replaceable: Rule = only_empty) -> None:
    """Raises the errors of `published` that can be foreseen, before any work is done."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ValueError(f"The name of the file must have at most {LONGEST_NAME} bytes. Received: {path.name!r}")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"The folder of the file must exist. Received: {str(path)!r}")
    if os.path.lexists(path) and not (path.is_file() or path.is_dir()):
        raise FileExistsError(f"{str(path)!r} is not a regular file, and is never replaced.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists already. Replace it with overwrite=True (--force).")
    if path.is_dir() and (reason := replaceable(path)):
        raise FileExistsError(f"{str(path)!r} is {reason}, and is never replaced.")


def _disk_error(path: Path, error: OSError) -> OSError:
    """The error as a sentence, with its number."""
    sentence = OSError(f"The file could not be written: {error.strerror}. Received: {str(path)!r}")
    sentence.errno = error.errno
    return sentence


def _place(source: Path, final: Path, overwrite: bool, replaceable: Rule, staging: Path) -> None:
    if source.is_dir() or final.is_dir():
        # A folder cannot be swapped for another in one step: the old one is moved aside first.
        aside = staging / "replaced"
        try:
            if overwrite and final.exists():
                os.rename(final, aside)
            os.rename(source, final)
        except BaseException:  # a signal, too: the old folder is moved back
            if aside.exists() and not final.exists():
                os.rename(aside, final)
            raise
    elif overwrite:
        os.replace(source, final)
    else:
        try:
            os.link(source, final)  # unlike a rename, it fails if the name has been taken in the meantime
        except FileExistsError:
            check_target(final, overwrite, replaceable)
            raise
        except OSError:  # a file system without hard links
            check_target(final, overwrite, replaceable)
            os.rename(source, final)
