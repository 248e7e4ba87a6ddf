"""Files and folders that nobody should have to expect, and how they are made."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3)).astype("float32")


def array(name: str, values: Any) -> Callable[[], None]:
    """Writes a `.npy` file, pickled if there is no other way."""
    return lambda: np.save(name, values, allow_pickle=True)


def arrays(name: str, **columns: Any) -> Callable[[], None]:
    return lambda: np.savez(name, **columns)


def content(name: str, data: bytes) -> Callable[[], None]:
    return lambda: _discard(Path(name).write_bytes(data))


def cut(name: str, write: Callable[[], None], share: float = 0.5) -> Callable[[], None]:
    """The beginning of what `write` writes."""

    def write_part() -> None:
        write()
        whole = Path(name).read_bytes()
        Path(name).write_bytes(whole[: int(share * len(whole))])

    return write_part


def changed(name: str, change: Callable[[np.ndarray], None]) -> Callable[[], None]:
    """Good data, and then something done to it."""
    values = IMAGES.copy()
    change(values)
    return array(name, values)


def fifo(name: str) -> Callable[[], None]:
    """Who opens it to read waits for ever: nobody writes."""
    return lambda: os.mkfifo(name)


def link(name: str, target: str) -> Callable[[], None]:
    return lambda: os.symlink(target, name)


def folder(name: str) -> Callable[[], None]:
    return lambda: os.makedirs(name)


def both(*steps: Callable[[], None]) -> Callable[[], None]:
    return lambda: [step() for step in steps].clear()


def among_good_ones(name: str, data: bytes) -> Callable[[], None]:
    """A folder of images with another file among them."""

    def write() -> None:
        os.mkdir("photos")
        for i, image in enumerate(IMAGES.astype("uint8")):
            Image.fromarray(image).save(f"photos/{i}.png")
        Path("photos", name).write_bytes(data)

    return write


def image(suffix: str, width: int = 40, height: int = 30) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype("uint8")
    Image.fromarray(noise).save(buffer, suffix)
    return buffer.getvalue()


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG file of any claim."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def npy_header(shape: tuple[int, ...]) -> bytes:
    """A `.npy` file that claims a shape, and has 64 bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(64)


def zip_bomb(name: str, size: int = 3 * 2**30) -> Callable[[], None]:
    """An `.npz` file of 3 MB whose array takes a thousand times as much."""

    def write() -> None:
        header = io.BytesIO()
        shape = (size // (4 * SIZE * SIZE * 3), SIZE, SIZE, 3)
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        zeros = bytes(2**24)
        data = _deflated(header.getvalue()) + _deflated(zeros) * (size // len(zeros)) + b"\x03\x00"
        _zip_of_one(name, b"image.npy", data, len(header.getvalue()) + size)

    return write


def _deflated(data: bytes) -> bytes:
    """A part of a deflated stream that can stand beside others."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def _zip_of_one(name: str, member: bytes, data: bytes, size: int) -> None:
    """A ZIP archive, without the member's checksum, which comes to be looked at when all is unpacked."""
    facts = struct.pack("<HHHHHIIIHH", 20, 0, zipfile.ZIP_DEFLATED, 0, 33, 0, len(data), size, len(member), 0)
    local = b"PK\x03\x04" + facts + member + data
    central = b"PK\x01\x02" + struct.pack("<H", 20) + facts + bytes(14) + member
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    Path(name).write_bytes(local + central + end)


def keras_file(name: str, config: Any, **members: bytes) -> Callable[[], None]:
    """A `.keras` file with this configuration, as text or a document."""

    def write() -> None:
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.0", "date_saved": ""}))
            archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
            for member, data in members.items():
                archive.writestr(member, data)

    return write


def _discard(_: object) -> None:
    return None
