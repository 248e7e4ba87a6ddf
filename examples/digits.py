"""Train a small SE network on handwritten digits, export it to every format, and measure each file in its own runtime.

    python examples/digits.py --output demo_output

The data are scikit-learn's 1,797 images of 8x8 pixels, of which 360 are held out. `--held-out 1000` measures on more
images and trains on fewer. int8 is calibrated on training images.
"""

import sys
from pathlib import Path
from typing import Any

import click
import keras
import matplotlib.pyplot as plt
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_se import excitation
from keras_se.export import DEFAULT_FORMATS, FORMATS, write_report
from keras_se.export.modes import calibrated_names
from keras_se.models import SEResNet

HELD_OUT = 360
CALIBRATION = 200
LEAST_ACCURACY = 0.97
# Loss of accuracy by mode; float files may lose none. On 1,000 images or more, the smaller limits apply.
LARGEST_LOSS = dict.fromkeys(("dynamic", *calibrated_names()), 0.01)
SMALLER_LOSS = dict.fromkeys(("int16x8", "selective"), 0.003)
MANY = 1000


def data(seed: int, held_out: int = HELD_OUT) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, held-out images and labels; images are (samples, 8, 8, 1), from 0 to 1."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., None]
    x, held_x, y, held_y = train_test_split(
        images, digits.target, test_size=held_out, stratify=digits.target, random_state=seed
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


def plot_tradeoff(rows: list[dict[str, Any]], path: Path) -> None:
    """Plots size against accuracy, a point for each file."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    markers = dict(zip(DEFAULT_FORMATS, "sod", strict=True))
    for row in rows:
        label = f"{FORMATS[row['format']].runtime}, {row['mode']}"
        axes.scatter(row["size"] / 1e3, row["score"] * 100, 90, marker=markers[row["format"]], label=label, alpha=0.8)
    accuracies = [row["score"] * 100 for row in rows]
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


def shortfalls(accuracy: float, rows: list[dict[str, Any]], held_out: int) -> list[str]:
    """A sentence for each accuracy that is too low."""
    allowed = LARGEST_LOSS | (SMALLER_LOSS if held_out >= MANY else {})
    return demo.shortfalls(accuracy, rows, LEAST_ACCURACY, allowed)


@click.command()
@output_option("demo_output")
@click.option("--epochs", type=click.IntRange(1), default=25, show_default=True)
@click.option("--held-out", type=click.IntRange(50, 1700), default=HELD_OUT, show_default=True, help="To measure on.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--report", is_flag=True, help="Write a page about the files, too.")
def main(output: Path, epochs: int, held_out: int, seed: int, report: bool) -> None:
    """Train, export, and measure. Exit status 1 if the network or a file falls short."""
    console = demo.console()
    with refusals():
        output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    x, y, held_x, held_y = data(seed, held_out)
    model = build()
    console.print(f"SE-ResNet with {model.count_params():,} parameters, {len(x):,} images to train on.")
    with demo.progress(console) as bar:
        demo.train(model, x, y, epochs, bar)
        model.save(output / "digits.keras")
        artifacts = demo.exported(model, output, x[:CALIBRATION], held_x, bar)
    accuracy, rows = demo.measured(model, artifacts, held_x, held_y)
    console.print(f"Keras: {accuracy:.2%} of the {held_out:,} held-out images are right.")
    console.print(demo.table(rows, held_out))
    plot_tradeoff(rows, output / "tradeoff.png")
    demo.picture(excitation.plot_classes(excitation.record(model, held_x), held_y), output / "gates.png")
    console.print(f"Pictures: {output / 'tradeoff.png'} (size against accuracy), {output / 'gates.png'} (SE gates).")
    if report:
        page = write_report(
            model, output / "digits_report.html", artifacts, evaluation_data=(held_x, held_y), overwrite=True
        )
        console.print(f"Report: {page.name}, in the same folder.")
    for sentence in (found := shortfalls(accuracy, rows, held_out)):
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
