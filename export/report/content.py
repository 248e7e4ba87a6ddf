"""Gathers the content of a report: everything that its page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_se.complexity import complexity
from keras_se.export.artifact import Artifact
from keras_se.export.benchmark.machine import machine, versions
from keras_se.export.data.evaluation import Evaluation
from keras_se.export.formats import FORMATS
from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.frontend.tensor_spec import random_feeds
from keras_se.export.report.files import FileReport, file_reports
from keras_se.export.report.gates import SAMPLES, squeeze_section
from keras_se.export.report.plots import Point, scatter
from keras_se.weights import Preprocessing

SIZE = "size (kB)"


def report_content(
    model: Any,
    inference: InferenceModel,
    artifacts: Sequence[Artifact],
    *,
    data: Mapping[str, np.ndarray] | None = None,
    evaluation: Evaluation | None = None,
    prepared: Preprocessing | None = None,
) -> dict[str, Any]:
    """The variables of the template.

    `inference` is the exported model: the model, behind its preprocessing if that is in the files (`prepared`). Files
    are run on `data`, or else on those of `evaluation`, or on random inputs.
    """
    artifacts = [replace(artifact) for artifact in artifacts]  # copies, whose runtimes are freed after this call
    feeds, source = _samples(inference, artifacts, data, evaluation)
    shapes = [feeds[tensor.name].shape[1:] for tensor in inference.inputs]
    files = file_reports(artifacts, feeds, evaluation, prepared)
    return {
        "model": inference.model.name,
        "cost": complexity(inference.model, shapes),
        "inputs": [(tensor.name, shape) for tensor, shape in zip(inference.inputs, shapes, strict=True)],
        "files": files,
        "largest": max(file.size for file in files),
        "accuracy": None if evaluation is None else evaluation.accuracy_of(inference),
        "evaluated": 0 if evaluation is None else len(evaluation.classes),
        "formats": FORMATS,
        "plots": _plots(files),
        "se": squeeze_section(inference, artifacts, feeds, model, prepared),
        "source": source,
        "machine": machine(),
        "versions": versions(),
    }


def _samples(
    model: InferenceModel,
    artifacts: Sequence[Artifact],
    data: Mapping[str, np.ndarray] | None,
    evaluation: Evaluation | None,
) -> tuple[Mapping[str, np.ndarray], str]:
    """Inputs by name, and a description of them."""
    if data is not None:
        return data, "the given data"
    if evaluation is not None:
        return evaluation.data, "evaluation data"
    sizes = [{tensor.name: tensor.shape for tensor in artifact.runner.inputs} for artifact in artifacts]
    known = min(sizes, key=lambda shapes: sum(size is None for shape in shapes.values() for size in shape))
    inputs = [replace(tensor, shape=known.get(tensor.name, tensor.shape)) for tensor in model.inputs]
    return random_feeds(inputs, SAMPLES), "random inputs"


def _plots(files: Sequence[FileReport]) -> list[tuple[str, str]]:
    """The title of each plot, and the plot. A single file has none."""
    timed = [(file, file.latency) for file in files if file.latency is not None]
    right = [(file, file.accuracy * 100) for file in files if file.accuracy is not None]
    plots = []
    if len(timed) > 1:
        points = [
            Point(file.size / 1e3, time.median * 1e3, time.low * 1e3, time.high * 1e3, file.artifact.format, file.mode)
            for file, time in timed
        ]
        plots.append(("Size and latency", scatter(points, SIZE, "latency (ms)", "latency", logarithmic=True)))
    if len(right) > 1:
        points = [Point(file.size / 1e3, share, share, share, file.artifact.format, file.mode) for file, share in right]
        plots.append(("Size and accuracy", scatter(points, SIZE, "top-1 (%)", "accuracy", logarithmic=False)))
    return plots
