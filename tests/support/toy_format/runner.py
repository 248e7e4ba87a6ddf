"""Runs an archive in Keras: of models with one input."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_se.export.frontend.tensor_spec import Tensor


class Runner:
    quantize = None
    steps: Mapping[str, float] = {}

    def __init__(self, path: Path):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
            archive.extract("model.keras", folder)
            self._model = keras.saving.load_model(Path(folder) / "model.keras", compile=False)
            names, self.outputs = json.loads(archive.read("names.json"))
        self.inputs = [
            Tensor(name, tuple(x.shape[1:]), str(x.dtype)) for name, x in zip(names, self._model.inputs, strict=True)
        ]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = self._model(feeds[self.inputs[0].name], training=False)
        arrays = map(keras.ops.convert_to_numpy, keras.tree.flatten(outputs))
        return dict(zip(self.outputs, arrays, strict=True))
