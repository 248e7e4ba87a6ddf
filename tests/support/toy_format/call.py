"""Calls an archive in Keras, for benchmarks: a program that imports nothing of the package."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

RUNTIME = "keras"


def open_call(path: str, threads: int, batch_size: int, size: int) -> tuple[Any, dict[str, tuple[int, ...]]]:
    import keras

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as archive:
        archive.extract("model.keras", folder)
        model = keras.saving.load_model(Path(folder) / "model.keras", compile=False)
    (image,) = model.inputs
    feed = np.zeros((batch_size, *image.shape[1:]), "float32")
    return lambda: model(feed, training=False), {image.name: feed.shape}
