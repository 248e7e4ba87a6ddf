"""Compares each layer of a quantized TFLite file with the same layer in floats."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_se.export.artifact import Artifact, exported_model
from keras_se.export.data.calibration import CalibrationData, read_data
from keras_se.export.frontend.batching import batches
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import random_feeds
from keras_se.export.modes import MODES
from keras_se.export.passes.pass_pipeline import optimized
from keras_se.export.tflite.converter import float_file
from keras_se.export.tflite.graph import FileGraph
from keras_se.export.tflite.interpreter import TensorValues
from keras_se.export.tflite.layer_map import LayerNames, within
from keras_se.export.tflite.mode import CONVERSIONS
from keras_se.export.verification.parity import SAMPLES
from keras_se.graph.walk import layers_by_path
from keras_se.layers import EXCITATIONS

# Noise that exceeds that of the inputs by this share or less is only rounding of the sums.
ROUNDING = 1e-6


@dataclass(frozen=True)
class LayerError:
    """The error of a layer whose output is in the file.

    Attributes:
        layer: The path of the layer: `"backbone/stage1_se"` for a layer of a nested model.
        fused: The layers that the file computes in the same operation.
        kind: The name of the layer's class.
        se: Whether it is a squeeze-and-excitation layer, or part of one.
        sqnr: The signal-to-quantization-noise ratio of its output in dB, over all samples: 20 is an error of a tenth
            (root mean square), 40 of a hundredth. Infinite without any error.
        own: The same ratio for the noise that the layer adds or amplifies: without the relative noise of its inputs.
        cosine: The cosine between its output and the output in floats, averaged over samples.
    """

    layer: str
    fused: tuple[str, ...]
    kind: str
    se: bool
    sqnr: float
    own: float
    cosine: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: it is `None`."""
        ratios = ((name, getattr(self, name)) for name in ("sqnr", "own", "cosine"))
        finite = {name: value if np.isfinite(value) else None for name, value in ratios}
        return {**vars(self), "fused": list(self.fused), **finite}


@dataclass(frozen=True)
class LayerErrors:
    """The errors of a file, layer by layer.

    Attributes:
        path: The file.
        samples: The number of samples that were run.
        rows: A `LayerError` for each layer, the smallest `own` first: errors propagate, so a small `sqnr` alone can
            come from an earlier layer.
        missing: Layers whose output is not in the file: they were folded into another layer, or compute nothing.
    """

    path: Path
    samples: int
    rows: tuple[LayerError, ...]
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": str(self.path),
            "samples": self.samples,
            "layers": [row.to_dict() for row in self.rows],
            "missing": list(self.missing),
        }


def layer_errors(
    path: str | os.PathLike,
    model: Any,
    data: Any = None,
    samples: int = SAMPLES,
    *,
    optimize: bool | None = None,
    preprocessing: Any = None,
) -> LayerErrors:
    """Compares each layer's output in a quantized TFLite file with its output in floats: where is precision lost?

    Both run in LiteRT without its delegate. The float file is converted from the same network for this comparison.

    Example:

    >>> from keras_se.export import layer_errors, to_tflite
    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(alpha=0.25)
    >>> to_tflite(model, "se_mobilenet.tflite", quantize="dynamic")  # doctest: +SKIP
    >>> layer_errors("se_mobilenet.tflite", model).rows[0].layer  # doctest: +SKIP

    Args:
        path: A quantized TFLite file.
        model: The Keras model that it was exported from.
        data: Inputs in any form of calibration data, of which the first samples are run; by default random ones, on
            which calibrated files are less precise.
        samples: The number of samples.
        optimize, preprocessing: The options of the export; by default those in the file's metadata.

    Raises:
        ValueError: for another kind of file, or a file of another model.
    """
    check_backend()
    artifact = Artifact.open(path)
    if artifact.format != "tflite" or artifact.quantize is None:
        raise ValueError(
            f"The file must be a quantized TFLite file. Received: {str(path)!r} ({artifact.format}, "
            f"{artifact.quantize or 'float32'})"
        )
    inference = exported_model(artifact, model, preprocessing)
    artifact.check_same_tensors(inference)
    source = inference
    if optimize is None:
        options = (artifact.metadata or {}).get("options")
        optimize = not isinstance(options, dict) or options.get("optimize") is not False
    if optimize:
        bits = MODES[artifact.quantize].activation_bits
        source, _ = optimized(inference, runtime="LiteRT", activation_bits=bits)
    runner: Any = artifact.runner
    shapes = {tensor.name: tensor.shape for tensor in runner.inputs}
    inputs = tuple(replace(tensor, shape=shapes[tensor.name]) for tensor in inference.inputs)
    known = CalibrationData(random_feeds(inputs, samples)) if data is None else read_data(inputs, data, "data")
    feeds = known.first(samples)
    content = TensorValues(Path(path).read_bytes())
    floats = TensorValues(float_file(source, shapes, content.batch))
    pair = _Pair(source, floats, content)
    sums = pair.compared(feeds, runner.stored)
    return LayerErrors(
        Path(path),
        len(next(iter(feeds.values()))),
        tuple(sorted(pair.rows(sums), key=lambda row: (row.own, row.sqnr))),
        tuple(_missing(inference.model, pair.named)),
    )


def check_backend() -> None:
    """Refuses other Keras backends, whose models are exported in another process."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"Comparing layers requires Keras on TensorFlow. Received: {backend}. Set KERAS_BACKEND=tensorflow."
        )


@dataclass
class _Sums:
    """Sums over the samples of a layer's output."""

    signal: float = 0.0
    noise: float = 0.0
    cosine: float = 0.0
    count: int = 0

    def add(self, expected: np.ndarray, found: np.ndarray) -> None:
        for a, b in zip(expected.astype("float64"), found.astype("float64"), strict=True):
            self.signal += float(np.sum(a**2))
            self.noise += float(np.sum((b - a) ** 2))
            norms = float(np.linalg.norm(a) * np.linalg.norm(b))
            self.cosine += float(np.sum(a * b)) / norms if norms else float(np.array_equal(a, b))
            self.count += 1

    @property
    def ratio(self) -> float:
        """Noise over signal."""
        return self.noise / self.signal if self.signal else (np.inf if self.noise else 0.0)


class _Pair:
    """A float file and a quantized one of the same network."""

    def __init__(self, model: InferenceModel, floats: TensorValues, quantized: TensorValues):
        self._layers = dict(layers_by_path(model.model))
        names = LayerNames(model)
        self._floats, self._quantized = floats, quantized
        self._owners = names.of_operations(floats.graph)
        expected = _results(floats.graph, self._owners)
        found = _results(quantized.graph, names.of_operations(quantized.graph))
        # The tensor of each layer in both files.
        self._both = {
            path: (index, found[path])
            for path, index in expected.items()
            if path in found and floats.graph.tensors[index].shape == quantized.graph.tensors[found[path]].shape
        }
        self._fused = {paths[0]: paths[1:] for paths in self._owners if paths}

    @property
    def named(self) -> set[str]:
        """The layers that have a row, or are fused with a layer that has one."""
        return {path for row in self._both for path in (row, *self._fused[row])}

    def compared(
        self, feeds: Mapping[str, np.ndarray], stored: Callable[..., dict[str, np.ndarray]]
    ) -> dict[str, _Sums]:
        """The sums of each layer over all samples; `stored` converts inputs to the quantized file's types."""
        sums: dict[str, _Sums] = defaultdict(_Sums)
        size, left = self._floats.batch, len(next(iter(feeds.values())))
        for batch in batches(feeds, size):
            expected, found = self._floats.run(batch), self._quantized.run(stored(batch))
            for path, (in_floats, in_quantized) in self._both.items():
                # The last batch is padded with samples that were counted already.
                rows = slice(left if expected[in_floats].shape[:1] == (size,) else None)
                sums[path].add(expected[in_floats][rows], found[in_quantized][rows])
            left -= size
        return sums

    def rows(self, sums: Mapping[str, _Sums]) -> Iterator[LayerError]:
        before = self._before()
        chosen = {path for path, layer in self._layers.items() if isinstance(layer, EXCITATIONS)}
        for path, total in sums.items():
            received = max((sums[other].ratio for other in before[path] if other in sums), default=0.0)
            added = total.ratio - received if total.ratio > received * (1 + ROUNDING) else 0.0
            yield LayerError(
                path,
                self._fused[path],
                type(self._layers[path]).__name__,
                within(path, chosen),
                _decibels(total.ratio),
                _decibels(added),
                total.cosine / total.count,
            )

    def _before(self) -> dict[str, set[str]]:
        """The layers whose outputs each layer reads."""
        graph = self._floats.graph
        makers = {index: number for number, one in enumerate(graph.operations) for index in one.outputs}
        before: dict[str, set[str]] = defaultdict(set)
        sources: list[set[str]] = []  # for each operation, its layer; without a layer, the sources of its inputs
        for operation, paths in zip(graph.operations, self._owners, strict=True):
            read = {path for index in operation.inputs if index in makers for path in sources[makers[index]]}
            if paths:
                before[paths[0]] |= read - {paths[0]}
            sources.append({paths[0]} if paths else read)
        return before


def _results(graph: FileGraph, owners: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """The output tensor of each layer: that of its last operation that is no conversion."""
    return {
        paths[0]: operation.outputs[0]
        for operation, paths in zip(graph.operations, owners, strict=True)
        if paths and operation.name not in CONVERSIONS
    }


def _missing(model: keras.Model, named: set[str]) -> list[str]:
    """The layers without a row that are neither inside a layer with a row nor contain one."""
    holding = {path.rsplit("/", count)[0] for path in named for count in range(1, path.count("/") + 1)}
    return [
        path
        for path, layer in dict(layers_by_path(model)).items()
        if not isinstance(layer, keras.layers.InputLayer | keras.Model)
        and path not in holding
        and not within(path, named)
    ]


def _decibels(ratio: float) -> float:
    return float(-10 * np.log10(ratio)) if ratio > 0 else float("inf")
