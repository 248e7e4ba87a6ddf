"""Compares the gates of SE blocks in Keras and in quantized TFLite files, for a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_se.excitation import Gates
from keras_se.export.artifact import Artifact
from keras_se.export.formats import FORMATS
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.modes import MODES
from keras_se.export.report.plots import histogram
from keras_se.export.tflite.gates import file_gates, keras_gates
from keras_se.export.tflite.layer_errors import layer_errors
from keras_se.weights import Preprocessing

# Few samples, since reading intermediate tensors requires a slow run without the delegate.
SAMPLES = 16


@dataclass(frozen=True)
class Block:
    """A block in Keras and in the files.

    Attributes:
        gates: The gates that Keras computes.
        errors: The mean absolute error of the gates in each file; `None` if the file does not compute them.
        sqnr: The signal-to-quantization-noise ratio of the block's output in the drawn file, in dB, or `None`.
        picture: The distribution of its gates.
    """

    gates: Gates
    errors: Mapping[str, float | None]
    sqnr: float | None
    picture: str

    @property
    def mean(self) -> float:
        return float(self.gates.values.mean())

    @property
    def variation(self) -> float:
        """The standard deviation of a gate over samples, averaged over gates."""
        return float(self.gates.values.std(axis=0).mean())


@dataclass(frozen=True)
class Section:
    """The section of a report about SE.

    Attributes:
        blocks: The blocks, in the order of the layers.
        files: The modes of the compared TFLite files, by file name.
        drawn: The name of the file whose gates are drawn; empty if there is none.
        samples: The number of samples.
    """

    blocks: Sequence[Block]
    files: Mapping[str, str]
    drawn: str
    samples: int


def squeeze_section(
    model: InferenceModel,
    artifacts: Sequence[Artifact],
    feeds: Mapping[str, np.ndarray],
    source: Any,
    prepared: Preprocessing | None = None,
) -> Section:
    """Compares the gates of all blocks with those that the quantized TFLite files compute.

    `model` is the exported model, and `source` the Keras model without the preprocessing in the files, which is
    `prepared` for files without metadata. The first samples of `feeds` are used.
    """
    few = {tensor.name: feeds[tensor.name][:SAMPLES] for tensor in model.inputs}
    expected = keras_gates(model.model, list(few.values()))
    names = [one.path.name for one in artifacts]
    quantized = {
        one.path.name if names.count(one.path.name) == 1 else str(one.path): one
        for one in artifacts
        if FORMATS[one.format].intermediate_tensors and one.quantize and expected
    }
    found = {name: file_gates(artifact.path, model, expected, few) for name, artifact in quantized.items()}
    ranks = {name: MODES[artifact.quantize].drawn for name, artifact in quantized.items()}
    drawn = min((name for name in ranks if ranks[name]), key=ranks.__getitem__, default="")
    noise = _noise(quantized[drawn], source, few, prepared) if drawn else {}
    blocks = [
        Block(
            gates,
            {name: _error(gates.values, by_path.get(gates.path)) for name, by_path in found.items()},
            noise.get(gates.path),
            histogram(gates.values, found.get(drawn, {}).get(gates.path), f"gates{number}"),
        )
        for number, gates in enumerate(expected)
    ]
    files = {name: artifact.quantize or "" for name, artifact in quantized.items()}
    return Section(blocks, files, drawn, len(next(iter(few.values()))))


def _noise(
    artifact: Artifact, model: Any, feeds: Mapping[str, np.ndarray], prepared: Preprocessing | None
) -> dict[str, float]:
    """The SQNR of each layer; empty on other backends than TensorFlow, which cannot compare layers."""
    if keras.backend.backend() != "tensorflow":
        return {}
    preprocessing = None if artifact.metadata else prepared or False
    found = layer_errors(artifact.path, model, dict(feeds), SAMPLES, preprocessing=preprocessing)
    return {row.layer: row.sqnr for row in found.rows}


def _error(expected: np.ndarray, found: np.ndarray | None) -> float | None:
    return None if found is None else float(np.abs(found - expected).mean())
