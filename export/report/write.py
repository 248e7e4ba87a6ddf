"""Writes a report on exported files: their size, speed, accuracy and targets, and their SE gates."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_se._files import check_target, published
from keras_se.export.artifact import Artifact
from keras_se.export.data.calibration import read_data
from keras_se.export.data.evaluation import evaluation_of
from keras_se.export.data.preprocessing import prepared_model, preprocessing_of
from keras_se.export.errors import require


def check_report(path: Path, overwrite: bool) -> None:
    """Raises the errors of `write_report` for a page that cannot be written, before any work is done."""
    for module in ("jinja2", "matplotlib"):
        require(module, "report")
    check_target(path, overwrite)


def write_report(
    model: Any,
    path: str | os.PathLike,
    artifacts: Sequence[Artifact],
    *,
    evaluation_data: Any = None,
    data: Any = None,
    preprocessing: Any = False,
    overwrite: bool = False,
) -> Path:
    """Writes a report on exported files: one HTML page that needs no other file and no network.

    For each file it shows the size, the latency of one sample in the file's runtime (on this machine: another run gives
    other figures), the difference from Keras, the operations, and the targets; and for each SE block the gates that
    Keras and the quantized files compute.

    Example:

    >>> from keras_se.export import export, write_report
    >>> from keras_se.models import SEMobileNet
    >>> model = SEMobileNet(alpha=0.25)
    >>> artifacts = export(model, ".", quantize=(None, "float16"))  # doctest: +SKIP
    >>> path = write_report(model, "se_mobilenet_report.html", artifacts)  # doctest: +SKIP

    Args:
        model: The Keras model.
        path: The page to write.
        artifacts: Files that were exported from it, from `export` or `Artifact.open`.
        evaluation_data: Labelled data to measure top-1 accuracy on, for a classifier: `(x, y)`, inputs as for
            calibration and the class index of each sample; or the path of an `.npz` file with `x` and `y`.
        data: Inputs for latencies and gates, in any form of calibration data; by default those of `evaluation_data`,
            or random ones.
        preprocessing: The `preprocessing` of the export, for files that take pixels.
        overwrite: Whether to replace an existing page.

    Returns:
        The path.

    Raises:
        ValueError: for an invalid argument.
        ImportError: without the packages of the extra `report`.
        FileExistsError, NotADirectoryError, PermissionError: for a path that cannot be written to.
    """
    path = Path(path)
    check_report(path, overwrite)
    if not artifacts:
        raise ValueError(f"artifacts must have at least one file. Received: artifacts={artifacts!r}")
    prepared = preprocessing_of(model, preprocessing)
    inference, pixels = prepared_model(model, prepared, "float32"), prepared is not None
    if data is not None:
        data = read_data(inference.inputs, data, "data", pixels=pixels)
    evaluation = None if evaluation_data is None else evaluation_of(inference, evaluation_data, pixels=pixels)
    # Imported here because rendering libraries are slow to import, and most exports have no report.
    from keras_se.export.report.content import report_content
    from keras_se.export.report.page import page

    with published(path, overwrite) as staged:
        content = report_content(model, inference, artifacts, data=data, evaluation=evaluation, prepared=prepared)
        staged.write_text(page(content), encoding="utf-8")
    return path.absolute()
