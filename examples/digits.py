"""Train a small SE network on handwritten digits, export it to every format, and measure each file in its own runtime.

    python examples/digits.py --output demo_output

The images are scikit-learn's: 1,797 of 8x8 pixels, 360 of them held out. int8 is calibrated on training images.
"""

import sys
import time
from pathlib import Path
from typing import Any

import click
import keras
import matplotlib
import numpy as np
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_se import SqueezeExcite
from keras_se.export import DEFAULT_FORMATS, FORMATS, Artifact, export
from keras_se.export.export import planned
from keras_se.export.formats import CALIBRATED
from keras_se.models import SEResNet

matplotlib.use("Agg")  # pictures are written, not shown
import matplotlib.pyplot as plt

HELD_OUT = 360
CALIBRATION = 200
LEAST_ACCURACY = 0.97
LARGEST_INT8_LOSS = 0.01


def data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, held-out images and labels; images are (samples, 8, 8, 1), from 0 to 1."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., None]
    x, held_x, y, held_y = train_test_split(
        images, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=seed
    )
    return x, y, held_x, held_y


def build() -> keras.Model:
    return SEResNet(
        depths=(2, 2, 2),
        block="basic",
        filters=(16, 32, 64),
        stem="small",
        r=4,
        input_shape=(8, 8, 1),
        classes=10,
        name="digits",
    )


class ShowProgress(keras.callbacks.Callback):
    """A bar over epochs, with the losses."""

    def __init__(self, bar: Progress, epochs: int):
        super().__init__()
        self.bar = bar
        self.task = bar.add_task("training", total=epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        text = f"training: loss {logs['loss']:.3f}, training accuracy {logs['accuracy']:.1%}"
        self.bar.update(self.task, advance=1, description=text)


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, bar: Progress) -> None:
    batch = 64
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps=epochs * -(-len(x) // batch))
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[ShowProgress(bar, epochs)])


def measure(artifact: Artifact, x: np.ndarray, y: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """What the file makes of the held-out images, in its own runtime."""
    outputs = artifact.predict(x)
    return {
        "file": artifact.path.name,
        "runtime": FORMATS[artifact.format].runtime,
        "mode": artifact.quantize or "float32",
        "size": artifact.size,
        "accuracy": float(np.mean(outputs.argmax(-1) == y)),
        "agreement": float(np.mean(outputs.argmax(-1) == reference.argmax(-1))),
        "difference": float(np.abs(outputs - reference).max()),
    }


def latencies(artifacts: list[Artifact], x: np.ndarray, rounds: int = 100) -> list[float]:
    """Median time of one image through each file, in milliseconds; the files take turns."""
    times = np.zeros((rounds, len(artifacts)))
    for turn in range(rounds):
        for i, artifact in enumerate(artifacts):
            start = time.perf_counter()
            artifact.predict(x[:1])
            times[turn, i] = time.perf_counter() - start
    return list(np.median(times, axis=0) * 1e3)


def table(rows: list[dict[str, Any]]) -> Table:
    result = Table(title=f"Each file on the {HELD_OUT} held-out images, in its own runtime")
    result.add_column("file", no_wrap=True)
    result.add_column("runtime", no_wrap=True)
    for header in ("size", "accuracy", "agrees with Keras", "largest difference", "ms / image"):
        result.add_column(header, justify="right")
    for row in rows:
        result.add_row(
            row["file"],
            row["runtime"],
            decimal(row["size"]),
            f"{row['accuracy']:.2%}",
            f"{row['agreement']:.2%}",
            f"{row['difference']:.1e}",
            f"{row['latency']:.2f}",
        )
    return result


def plot_tradeoff(rows: list[dict[str, Any]], path: Path) -> None:
    """Size against accuracy, a point for each file."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    markers = dict(zip(DEFAULT_FORMATS, "sod", strict=True))
    for row in rows:
        label = f"{FORMATS[row['format']].runtime}, {row['mode']}"
        axes.scatter(
            row["size"] / 1e3, row["accuracy"] * 100, 90, marker=markers[row["format"]], label=label, alpha=0.8
        )
    accuracies = [row["accuracy"] * 100 for row in rows]
    axes.set(
        xlim=(0, None),
        ylim=(min(accuracies) - 1, max(*accuracies, 99.5) + 0.5),
        xlabel="size of the file (kB)",
        ylabel="accuracy on held-out images (%)",
        title="SE-ResNet on handwritten digits",
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_gates(model: keras.Model, x: np.ndarray, y: np.ndarray, path: Path) -> None:
    """The mean gate of every channel for each class, in the last SE block of each stage (figure 6 of the paper)."""
    stages = {layer.name.split("_")[0]: layer for layer in model.layers if isinstance(layer, SqueezeExcite)}
    maps = keras.Model(model.inputs, [layer.input for layer in stages.values()]).predict([x], verbose=0)
    figure, rows = plt.subplots(len(stages), 1, figsize=(8, 2.4 * len(stages)), layout="constrained")
    for axes, layer, inputs in zip(rows, stages.values(), maps, strict=True):
        gates = keras.ops.convert_to_numpy(layer.excitation(inputs))
        for digit in range(10):
            axes.plot(gates[y == digit].mean(axis=0), color=plt.cm.tab10(digit), lw=1.2, label=str(digit))
        axes.set(title=layer.name, ylabel="mean gate", ylim=(0, 1))
        axes.margins(x=0.01)
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("channel")
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside right center", title="digit")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def shortfalls(accuracy: float, rows: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be, a sentence each."""
    found = [f"Keras has {accuracy:.2%} accuracy, less than {LEAST_ACCURACY:.0%}."] if accuracy < LEAST_ACCURACY else []
    for row in rows:
        allowed = LARGEST_INT8_LOSS if row["mode"] in ("dynamic", *CALIBRATED) else 0.0
        if accuracy - row["accuracy"] > allowed + 1e-9:
            found.append(f"{row['file']} loses {accuracy - row['accuracy']:.2%}, more than {allowed:.0%}.")
    return found


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("demo_output"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=25, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(output: Path, epochs: int, seed: int) -> None:
    """Train, export, and measure. Exit status 1 if the network or a file falls short."""
    output.mkdir(parents=True, exist_ok=True)
    console = Console(width=None if sys.stdout.isatty() else 120)
    keras.utils.set_random_seed(seed)
    x, y, held_x, held_y = data(seed)
    model = build()
    console.print(f"SE-ResNet with {model.count_params():,} parameters, {len(x)} images to train on.")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        train(model, x, y, epochs, bar)
        model.save(output / "digits.keras")
        modes = FORMATS["tflite"].modes
        task = bar.add_task("exporting", total=len(planned(model.name, output, DEFAULT_FORMATS, modes)))
        artifacts = export(
            model,
            output,
            quantize=modes,
            calibration_data=x[:CALIBRATION],
            verification_data=held_x,
            overwrite=True,
            on_start=lambda path: bar.update(task, advance=1, description=f"exporting {path.name}"),
        )
        bar.update(task, description="exported and verified")

    reference = model.predict(held_x, verbose=0)
    accuracy = float(np.mean(reference.argmax(-1) == held_y))
    rows = [
        {**measure(artifact, held_x, held_y, reference), "format": artifact.format, "latency": latency}
        for artifact, latency in zip(artifacts, latencies(artifacts, held_x), strict=True)
    ]
    console.print(f"Keras: {accuracy:.2%} of the {HELD_OUT} held-out images are right.")
    console.print(table(rows))
    plot_tradeoff(rows, output / "tradeoff.png")
    plot_gates(model, held_x, held_y, output / "gates.png")
    console.print(f"Pictures: {output / 'tradeoff.png'} (size against accuracy), {output / 'gates.png'} (SE gates).")
    for sentence in (found := shortfalls(accuracy, rows)):
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
