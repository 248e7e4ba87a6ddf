"""Measures and inspects each file of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import calibration_sentence
from keras_se.export.data.evaluation import Evaluation
from keras_se.export.formats import FORMATS
from keras_se.export.inspect import inspect
from keras_se.export.inspect.inspection import Inspection
from keras_se.export.probes.timing import Latency, latencies
from keras_se.export.targets.check import verdicts
from keras_se.export.targets.reasons import Verdict
from keras_se.weights import Preprocessing

Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FileReport:
    """The measurements of a file.

    Attributes:
        artifact: The file.
        size: Bytes; for a folder of C sources, those of the network in it.
        of_float32: Its size relative to the float file of its format, or `None` if there is none.
        latency: The latency of one sample, or `None` if it was not measured.
        accuracy: Top-1 from 0 to 1, or `None` without evaluation data.
        inspection: The content of the file.
        verdicts: The verdict of each target for its format.
    """

    artifact: Artifact
    size: int
    of_float32: float | None
    latency: Latency | None
    accuracy: float | None
    inspection: Inspection
    verdicts: Sequence[Verdict]

    @property
    def name(self) -> str:
        return self.artifact.path.name

    @property
    def mode(self) -> str:
        return self.artifact.quantize or "float32"

    @property
    def notes(self) -> list[str]:
        calibration = self.artifact.calibration
        return [*self.artifact.notes, *([calibration_sentence(calibration)] if calibration else [])]


def file_reports(
    artifacts: Sequence[Artifact],
    feeds: Mapping[str, np.ndarray],
    evaluation: Evaluation | None,
    prepared: Preprocessing | None = None,
) -> list[FileReport]:
    """Measures and inspects the files. Their runtimes stay in memory as long as the artifacts.

    Files are timed on the first sample of `feeds`. If files have preprocessing (`prepared`), all data are pixels.
    """
    here = [index for index, artifact in enumerate(artifacts) if FORMATS[artifact.format].runs_here]
    sample = {name: x[:1] for name, x in feeds.items()}
    calls = [partial(artifacts[i].predict, _inputs(artifacts[i], sample, prepared)) for i in here]
    times = dict(zip(here, latencies(calls), strict=True))
    inspections = [inspect(artifact.path) for artifact in artifacts]
    sizes = [artifacts[i].size if i in here else inspection.size for i, inspection in enumerate(inspections)]
    floats = {one.format: size for one, size in zip(artifacts, sizes, strict=True) if one.quantize is None}
    reports = []
    for i, (artifact, size, inspection) in enumerate(zip(artifacts, sizes, inspections, strict=True)):
        relative = size / floats[artifact.format] if artifact.format in floats else None
        accuracy = None
        if evaluation is not None:
            outputs = artifact.predict(_inputs(artifact, evaluation.data, prepared))
            accuracy = evaluation.accuracy(keras.tree.flatten(outputs)[0])
        found = FileReport(artifact, size, relative, times.get(i), accuracy, inspection, verdicts(inspection))
        reports.append(found)
    return reports


def _inputs(artifact: Artifact, feeds: Feeds, prepared: Preprocessing | None) -> Feeds:
    """The inputs of a file. A SavedModel with further signatures takes preprocessed images in its first one."""
    stored = (artifact.metadata or {}).get("preprocessing")
    if prepared is None or not isinstance(stored, dict) or stored.get("in_file") is not False:
        return feeds
    return {name: prepared.preprocess_input(pixels) for name, pixels in feeds.items()}
