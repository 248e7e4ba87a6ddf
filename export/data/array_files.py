"""Reads arrays from `.npy` and `.npz` files. Files may come from strangers: no code in them is run."""

import os
import zipfile
import zlib

import numpy as np

# An archive that unpacks to more than this many bytes must not be packed more than this many times.
LARGEST_UNPACKED, MOST_PACKED = 2**28, 50


def read_arrays(path: str | os.PathLike, argument: str) -> np.ndarray | dict[str, np.ndarray]:
    """The array of an `.npy` file, or those of an `.npz` file by name.

    Args:
        path: The file.
        argument: The name of the argument, for errors.

    Raises:
        ValueError: for a file that is missing, unreadable, or would fill the memory.
    """
    path = os.fspath(path)
    if not path.endswith((".npy", ".npz")) or not os.path.isfile(path):
        raise ValueError(f"{argument} must be an .npy or .npz file, or a folder, that exists. Received: {path!r}")
    try:
        with open(path, "rb") as file:  # NumPy leaves a file that it opened itself open when it fails
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            _check_unpacked(content.zip, os.path.getsize(path))
            return {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{argument} must be a readable file of numbers. Received: {path!r} ({error})") from error


def _check_unpacked(archive: zipfile.ZipFile, size: int) -> None:
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(LARGEST_UNPACKED, MOST_PACKED * size):
        raise ValueError(f"it has {size} bytes, and unpacks to {unpacked}")
