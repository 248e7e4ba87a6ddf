"""Runs a SavedModel in TensorFlow."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_se.export.errors import require
from keras_se.export.frontend.batching import run_in_batches
from keras_se.export.frontend.tensor_spec import Tensor

SIGNATURE = "serving_default"


class Runner:
    """A SavedModel in TensorFlow."""

    quantize = None
    steps: Mapping[str, float] = {}

    def __init__(self, path: Path):
        tf = require("tensorflow", "tensorflow")
        try:
            self._loaded = tf.saved_model.load(str(path))  # kept: it owns the variables
        except tf.errors.OpError as error:  # damaged variables
            raise RuntimeError(error.message) from error
        self.signatures = self._loaded.signatures
        if SIGNATURE not in self.signatures:
            raise ValueError(f"it has no signature {SIGNATURE!r}")
        self._function = self.signatures[SIGNATURE]
        specs = self._function.structured_input_signature[1]
        self.inputs = [Tensor(name, tuple(spec.shape[1:]), spec.dtype.name) for name, spec in specs.items()]
        self.outputs = list(self._function.structured_outputs)
        self._batch = next(iter(specs.values())).shape[0]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        def run_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            outputs = self._function(**batch)
            return {name: outputs[name].numpy() for name in self.outputs}

        return run_in_batches(feeds, run_batch, self._batch)
