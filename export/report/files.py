"""What a report tells of each file: measured, compared, and looked into."""

from collections.abc import Callable, Mapping, Sequence
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
    """What is told of a file.

    Attributes:
        artifact: The file.
        size: Bytes; of a folder of C sources, those of the network in it.
        of_float32: Its size relative to that of the file in floats of its format, or `None` if there is none.
        latency: Of one sample, or `None` if it was not measured.
        accuracy: Top-1 from 0 to 1, or `None` without evaluation data.
        inspection: What is in it.
        verdicts: Which targets it fits.
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
        seen = self.artifact.calibration
        return [*self.artifact.notes, *([calibration_sentence(seen)] if seen else [])]


def file_reports(
    artifacts: Sequence[Artifact],
    feeds: Mapping[str, np.ndarray],
    evaluation: Evaluation | None,
    prepared: Preprocessing | None = None,
) -> list[FileReport]:
    """Measures the files, and looks into them.

    Args:
        artifacts: The files. Their runtimes stay in memory as long as they do.
        feeds: Inputs by name; files are timed on the first sample.
        evaluation: What accuracy is measured on, if on anything.
        prepared: What is done to images in the files, of which all data are pixels then.
    """
    takes = [_takes(artifact, prepared) for artifact in artifacts]
    times = _latencies(artifacts, [take({name: x[:1] for name, x in feeds.items()}) for take in takes])
    inspections = [inspect(artifact.path) for artifact in artifacts]
    sizes = [
        inspection.size if not FORMATS[artifact.format].runs_here else artifact.size
        for artifact, inspection in zip(artifacts, inspections, strict=True)
    ]
    floats = {one.format: size for one, size in zip(artifacts, sizes, strict=True) if one.quantize is None}
    reports = []
    for artifact, take, size, latency, inspection in zip(artifacts, takes, sizes, times, inspections, strict=True):
        outputs = None if evaluation is None else artifact.predict(take(evaluation.data))
        reports.append(
            FileReport(
                artifact,
                size,
                size / floats[artifact.format] if artifact.format in floats else None,
                latency,
                None if evaluation is None else evaluation.accuracy(keras.tree.flatten(outputs)[0]),
                inspection,
                verdicts(inspection),
            )
        )
    return reports


def _takes(artifact: Artifact, prepared: Preprocessing | None) -> Callable[[Feeds], Feeds]:
    """What makes of data what a file takes: a SavedModel with signatures takes prepared images in its first."""
    told = (artifact.metadata or {}).get("preprocessing")
    if prepared is None or not isinstance(told, dict) or told.get("in_file") is not False:
        return dict
    return lambda feeds: {name: prepared.preprocess_input(pixels) for name, pixels in feeds.items()}


def _latencies(artifacts: Sequence[Artifact], samples: Sequence[Feeds]) -> list[Latency | None]:
    calls = [
        partial(artifact.predict, sample)
        for artifact, sample in zip(artifacts, samples, strict=True)
        if FORMATS[artifact.format].runs_here
    ]
    found = iter(latencies(calls))
    return [None if not FORMATS[artifact.format].runs_here else next(found) for artifact in artifacts]
