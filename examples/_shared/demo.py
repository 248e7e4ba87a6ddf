"""Training with a progress bar, exporting to every format and mode, and measuring each file."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import matplotlib
import numpy as np
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from keras_se.export import DEFAULT_FORMATS, FORMATS, Artifact, benchmark, export
from keras_se.export.export import planned

matplotlib.use("Agg")  # pictures are written, not shown

# From the outputs for held-out images and their labels to a share from 0 to 1.
Score = Callable[[np.ndarray, np.ndarray], float]

BATCH = 64
# Initial learning rate of Adam.
RATE = 3e-3
CLASSIFIED = "sparse_categorical_crossentropy"
# Timed calls of each file.
ROUNDS = 100
# Colours of a picture.
COLOURS = 256
# Held-out images below which a single one moves a score by 2 points or more.
FEW = 50


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120)


def progress(out: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=out)


def introduction(images: int, classes: int, held_out: int) -> str:
    sizes = f"{images:,} images of {classes} classes to train on, {held_out:,} held out."
    return f"{sizes} Scores on so few say little." if held_out < FEW else sizes


class ShowProgress(keras.callbacks.Callback):
    """A bar over epochs, with the losses."""

    def __init__(self, bar: Progress, epochs: int, what: str):
        super().__init__()
        self.bar, self.what = bar, what
        self.task = bar.add_task(what, total=epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        text = f"{self.what}: loss {logs['loss']:.3f}"
        if "accuracy" in logs:
            text += f", training accuracy {logs['accuracy']:.1%}"
        self.bar.update(self.task, advance=1, description=text)


def train(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    bar: Progress,
    varied: Callable[[np.ndarray], np.ndarray] | None = None,
    rate: float = RATE,
    what: str = "training",
    loss: Any = CLASSIFIED,
    batch: int = BATCH,
) -> None:
    """Trains with Adam. `varied` makes new images of the same classes for each epoch; `what` labels the bar."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, decay_steps=epochs * -(-len(x) // batch))
    metrics = ["accuracy"] if loss == CLASSIFIED else None
    # Networks as small as these do not train faster with XLA, and would wait for the compiler.
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=metrics, jit_compile=False)
    options: dict[str, Any] = {"batch_size": batch, "verbose": 0, "callbacks": [ShowProgress(bar, epochs, what)]}
    if varied is None:
        model.fit(x, y, epochs=epochs, **options)
        return
    for epoch in range(epochs):
        model.fit(varied(x), y, initial_epoch=epoch, epochs=epoch + 1, **options)


def compared(
    trained: Callable[[bool, int], keras.Model],
    scored: Callable[[keras.Model], dict[str, float]],
    count: int,
    title: str,
    what: str | None = None,
    forms: Mapping[str, str] = MappingProxyType({}),
) -> tuple[keras.Model, Table, str]:
    """Compares networks with and without SE over several seeds.

    Args:
        trained: Makes a trained model, from whether it has SE, and a seed.
        scored: Makes the scores of a model, by name. They are shares from 0 to 1 unless `forms` says otherwise.
        count: Number of seeds.
        title: The title of the table.
        what: The name of the first score in the verdict.
        forms: The number format of scores that are not shares, by name.

    Returns:
        The network with SE of the first seed, a table of all scores, and a sentence on the change of the first score.
    """
    models: dict[bool, list[keras.Model]] = {False: [], True: []}
    for seed in range(count):
        for se, found in models.items():
            found.append(trained(se, seed))
    scores = {se: [scored(model) for model in found] for se, found in models.items()}
    first, *others = scores[True][0]
    table = Table(title=f"{title}, {seeds(count)}", box=SIMPLE_HEAD)
    for header in ("network", "parameters", first, *others, f"{first} of each seed"):
        table.add_column(header, justify="left" if header == "network" else "right")
    for se, name in ((False, "without SE"), (True, "with SE")):
        cells = (spread([score[one] for score in scores[se]], forms.get(one)) for one in (first, *others))
        each = ", ".join(f"{score[first]:.2%}" for score in scores[se])
        table.add_row(name, f"{models[se][0].count_params():,}", *cells, each)
    plain, excited = ([score[first] for score in scores[se]] for se in (False, True))
    return models[True][0], table, verdict(plain, excited, what or first)


def exported(
    model: keras.Model,
    output: Path,
    calibration: Any,
    verification: Any,
    bar: Progress,
    formats: Sequence[str] = DEFAULT_FORMATS,
    modes: Sequence[str | None] = FORMATS["tflite"].modes,
) -> list[Artifact]:
    """Exports to all formats and all modes of TFLite, or to those given."""
    task = bar.add_task("exporting", total=len(planned(model.name, output, formats, modes)))
    artifacts = export(
        model,
        output,
        formats,
        quantize=modes,
        calibration_data=calibration,
        verification_data=verification,
        overwrite=True,
        on_start=lambda path: bar.update(task, advance=1, description=f"exporting {path.name}"),
    )
    bar.update(task, description="exported and verified")
    return artifacts


def accuracy(outputs: np.ndarray, y: np.ndarray) -> float:
    """The share of correct answers, from 0 to 1."""
    return float(np.mean(outputs.argmax(-1) == y))


def measured(
    model: keras.Model, artifacts: Sequence[Artifact], x: np.ndarray, y: np.ndarray, score: Score = accuracy
) -> tuple[float, list[dict[str, Any]]]:
    """The score of Keras on held-out images, and a row of figures for each file, measured in its own runtime."""
    reference = model.predict(x, verbose=0)
    rows = [
        {
            **measure(artifact, x, y, reference, score),
            "format": artifact.format,
            "latency": milliseconds(artifact),
        }
        for artifact in artifacts
    ]
    return score(reference, y), rows


def milliseconds(artifact: Artifact) -> float:
    """The time of a call for one image, in a separate process: runtimes in one process slow each other down."""
    (found,) = benchmark(artifact.path, rounds=ROUNDS, memory=False, profile=False)
    return found.latency.median * 1e3


def measure(
    artifact: Artifact, x: np.ndarray, y: np.ndarray, reference: np.ndarray, score: Score = accuracy
) -> dict[str, Any]:
    outputs = artifact.predict(x)
    return {
        **about(artifact),
        "score": score(outputs, y),
        "agreement": float(np.mean(outputs.argmax(-1) == reference.argmax(-1))),
        "difference": float(np.abs(outputs - reference).max()),
    }


def about(artifact: Artifact) -> dict[str, Any]:
    """The cells of a row that do not depend on the task."""
    return {
        "file": artifact.path.name,
        "runtime": FORMATS[artifact.format].runtime,
        "mode": artifact.quantize or "float32",
        "size": artifact.size,
    }


def picture(figure: Any, path: Path) -> None:
    """Writes a figure as a PNG of few colours, because noise in many colours makes large files."""
    pixels = io.BytesIO()
    figure.savefig(pixels, dpi=95)
    with Image.open(pixels) as image:
        image.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def table(rows: Sequence[dict[str, Any]], held_out: int, score: str = "accuracy") -> Table:
    columns = {
        score: ("score", ".2%"),
        "agrees with Keras": ("agreement", ".2%"),
        "largest difference": ("difference", ".1e"),
        "ms / image": ("latency", ".2f"),
    }
    return file_table(f"Each file on the {held_out:,} held-out images, in its own runtime", rows, columns)


def file_table(title: str, rows: Sequence[dict[str, Any]], columns: Mapping[str, tuple[str, str]]) -> Table:
    """The file, runtime and size of each row, and then `columns`: from header to key and number format."""
    result = Table(title=title)
    for header in ("file", "runtime"):
        result.add_column(header, no_wrap=True)
    for header in ("size", *columns):
        result.add_column(header, justify="right")
    for row in rows:
        cells = (f"{row[key]:{spec}}" for key, spec in columns.values())
        result.add_row(row["file"], row["runtime"], decimal(row["size"]), *cells)
    return result


def shortfalls(
    score: float,
    rows: Sequence[dict[str, Any]],
    least: float,
    allowed: dict[str, float],
    what: str = "accuracy",
) -> list[str]:
    """A sentence for each score that is too low. `allowed` is the loss of score that each mode may have."""
    found = [f"Keras has {score:.2%} {what}, less than {least:.0%}."] if score < least else []
    for row in rows:
        most = allowed.get(row["mode"], 0.0)
        if score - row["score"] > most + 1e-9:
            found.append(f"{row['file']} loses {score - row['score']:.2%}, more than {most:.1%}.")
    return found


def spread(values: Sequence[float], form: str | None = None) -> str:
    """Mean and standard deviation, in points for shares. A single value is shown alone."""
    mean = format(np.mean(values), form or ".2%")
    if len(values) == 1:
        return mean
    deviation = np.std(values, ddof=1)
    return f"{mean} ± {format(deviation, form) if form else format(100 * deviation, '.2f')}"


def verdict(plain: Sequence[float], se: Sequence[float], what: str = "accuracy") -> str:
    """The change by SE in points, compared seed by seed."""
    changes = [100 * (with_se - without) for without, with_se in zip(plain, se, strict=True)]
    better = sum(change > 0 for change in changes)
    deviation = f" ± {np.std(changes, ddof=1):.2f}" if len(changes) > 1 else ""
    return (
        f"SE changed the {what} by {np.mean(changes):+.2f}{deviation} points; it was higher with SE "
        f"for {better} of {seeds(len(changes))}."
    )


def seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
