"""Runs the TFLite file of a folder of C sources in LiteRT."""

from pathlib import Path

from keras_se.export.microcontroller.manifest import read_manifest
from keras_se.export.tflite.runner import Runner as TFLiteRunner


class Runner(TFLiteRunner):
    """The TFLite file of a folder, in LiteRT."""

    def __init__(self, path: Path):
        manifest = read_manifest(path)
        if manifest is None:
            raise ValueError("it has no manifest of an export")
        super().__init__(path / manifest["model"]["file"])
