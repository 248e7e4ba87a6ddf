"""Files that appear whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from keras_se.export.microcontroller.manifest import is_untouched, read_manifest

STAGING_PREFIX = ".keras_se."
LONGEST_NAME = 255
# What a SavedModel is made of. More in its folder is somebody's, requests to warm up a server in `assets.extra` too.
SAVED_MODEL = (
    *("saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "debug/saved_model_debug_info.pb"),
    *("variables/variables.*", "assets/*", "assets.extra/keras_se.json"),
)
# What the disk says, and no mistake in the path does: there is no room, or it is broken.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def published(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yields a path to write a file or a folder to; it gets the name `path` when the block ends without an error.

    What is written lies in a hidden folder beside the final place meanwhile, which is removed in any case. A process
    that is killed can leave that folder behind, never a partial file under the final name.

    Raises:
        FileExistsError: if `path` exists and `overwrite` is false, or is neither a file nor a folder.
        NotADirectoryError, PermissionError: if the folder is missing, vanishes, or cannot be written to.
        OSError: if there is no room.
    """
    final = Path(path)
    check_target(final, overwrite)
    try:
        staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=final.parent))
    except OSError as error:
        if error.errno in FULL:
            raise _full(final, error) from error
        raise PermissionError(f"The folder of the file must be writable. Received: {str(final)!r} ({error})") from error
    try:
        yield staging / final.name
        _place(staging / final.name, final, overwrite, staging)
    except Exception as error:
        if not staging.is_dir():
            raise NotADirectoryError(
                f"The folder of the file must stay until the file is in it. Received: {str(final)!r}"
            ) from error
        if isinstance(error, OSError) and error.errno in FULL:
            raise _full(final, error) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _full(path: Path, error: OSError) -> OSError:
    """The error as a sentence, with its number."""
    told = OSError(f"The file could not be written: {error.strerror}. Received: {str(path)!r}")
    told.errno = error.errno
    return told


def check_path(path: Any, argument: str = "path") -> None:
    """Raises a `ValueError` for what is no path at all."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes) or os.fspath(path) == "":
        raise ValueError(f"{argument} must be a path, a str or an os.PathLike. Received: {argument}={path!r}")


def check_target(path: Path, overwrite: bool) -> None:
    """Raises what `published` would, before any work is done."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ValueError(f"The name of the file must have at most {LONGEST_NAME} bytes. Received: {path.name!r}")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"The folder of the file must exist. Received: {str(path)!r}")
    if os.path.lexists(path) and not (path.is_file() or path.is_dir()):
        raise FileExistsError(f"{str(path)!r} is no regular file, and is never replaced.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists already, and is replaced only with overwrite=True (--force).")
    if path.is_dir() and (reason := _more_than_exported(path)):
        raise FileExistsError(f"{str(path)!r} is {reason}, and is never replaced.")


def _more_than_exported(folder: Path) -> str:
    """Why a folder cannot be replaced without loss, or nothing if it can."""
    if (folder / "saved_model.pb").is_file():
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
        others = [file for file in files if not any(fnmatchcase(file, known) for known in SAVED_MODEL)]
        return f"the folder of a SavedModel with something else in it, {others[0]!r}" if others else ""
    if read_manifest(folder) is not None:
        return "" if is_untouched(folder) else "a folder that was changed since it was exported"
    return "a folder of other things than an export" if any(folder.iterdir()) else ""


def _place(source: Path, final: Path, overwrite: bool, staging: Path) -> None:
    if source.is_dir() or final.is_dir():
        # A folder cannot be swapped for another in one step: the old one steps aside first.
        aside = staging / "replaced"
        try:
            if overwrite and final.exists():
                os.rename(final, aside)
            os.rename(source, final)
        except BaseException:  # a signal, too: the old one comes back
            if aside.exists() and not final.exists():
                os.rename(aside, final)
            raise
    elif overwrite:
        os.replace(source, final)
    else:
        try:
            os.link(source, final)  # unlike a rename, it fails if the name has been taken meanwhile
        except FileExistsError:
            check_target(final, overwrite)
            raise
        except OSError:  # a file system without hard links
            check_target(final, overwrite)
            os.rename(source, final)
