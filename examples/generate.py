"""Train a small diffusion network with SE on digits, export it, and make new digits with each file in its own runtime.

    python examples/generate.py --output generate_output
    python examples/generate.py --data photos --size 16

The images are scikit-learn's digits, 8x8 pixels, or those of a folder with a folder for each class. The network gets
a class and makes images of it from noise, in 25 steps of DDIM. A classifier, trained on the same real images, judges
them: the score is the share of images that it assigns to the requested class. Networks with and without SE are compared
over several seeds. The files are those of the first seed. There are two kinds of files: the network alone, where the
caller does the arithmetic of a step in floats, and a whole step, which a device calls in a loop.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import digits
import keras
import matplotlib.pyplot as plt
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from _shared.image_folder import image_folder
from _shared.image_judge import Data, Judge, classifier, copies, noise_and_labels
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from keras_se.export import Artifact
from keras_se.models.generative import (
    NoisyImages,
    SEDiffusionUNet,
    calibration_inputs,
    ddim_step,
    step_model,
)

BATCH = 32
# Step files are verified on few, long steps, because the network is a small part of a short step.
LONG_STEPS = 2
# Calibration images, and the seed of their noise.
CALIBRATION_IMAGES, CALIBRATION_SEED = 20, 1
# Columns of the picture.
COLUMNS = 20
MODES = {"tflite": (None, "dynamic", "int8"), "onnx": (None, "int8")}
SCORE, ERROR = "samples judged as asked", "error on held-out images"
# The least score for digits, and the loss of score that a file may have.
LEAST = 0.8
LARGEST_LOSS = {"float32": 0.005, "dynamic": 0.02, "int8": 0.02}


@dataclass(frozen=True)
class Setting:
    """The amount of training and of samples."""

    epochs: int
    judge_epochs: int
    seeds: int
    samples: int
    steps: int
    filters: tuple[int, ...]


SETTINGS = {
    "small": Setting(epochs=50, judge_epochs=25, seeds=3, samples=1000, steps=25, filters=(32, 64)),
    "tests": Setting(epochs=1, judge_epochs=1, seeds=1, samples=20, steps=3, filters=(4, 8)),
}


def handwritten() -> Data:
    x, y, held_x, held_y = digits.data(seed=0)
    return Data(2 * x - 1, y, 2 * held_x - 1, held_y, [str(digit) for digit in range(10)])


def of_folder(folder: Path, size: int) -> Data:
    (x, y), (held_x, held_y), names = image_folder(folder, (size, size))
    return Data(2 * x - 1, y, 2 * held_x - 1, held_y, names)


def trained(data: Data, setting: Setting, r: int | None, seed: int, bar: Progress) -> keras.Model:
    """A diffusion network, with SE or (`r=None`) without."""
    keras.utils.set_random_seed(seed)
    options: dict[str, Any] = {"filters": setting.filters, "depths": (1,) * len(setting.filters), "r": r}
    model = SEDiffusionUNet(data.x.shape[1:], len(data.names), **options, name="generate")
    batches = NoisyImages(data.x, data.one_hot(data.y), batch_size=BATCH, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(demo.RATE, setting.epochs * len(batches))
    model.compile(keras.optimizers.Adam(rate), "mse")
    what = f"seed {seed}, {'without' if r is None else 'with'} SE"
    model.fit(batches, epochs=setting.epochs, verbose=0, callbacks=[demo.ShowProgress(bar, setting.epochs, what)])
    return model


def compared(judge: Judge, setting: Setting, bar: Progress) -> tuple[keras.Model, Table, str]:
    """Compares networks with and without SE: see `demo.compared`."""

    def scores(model: keras.Model) -> dict[str, float]:
        return {SCORE: judge.score(judge.images(ddim_step(model))), ERROR: judge.error(model)}

    return demo.compared(
        lambda se, seed: trained(judge.data, setting, 4 if se else None, seed, bar),
        *(scores, setting.seeds, f"{judge.samples:,} samples of each network", f"share of {SCORE}", {ERROR: ".4f"}),
    )


def exported(model: keras.Model, judge: Judge, output: Path, bar: Progress) -> list[Artifact]:
    """Exports the network, and a whole step."""
    noise, labels = noise_and_labels(judge.data, CALIBRATION_IMAGES, CALIBRATION_SEED)
    artifacts = []
    for one in (model, step_model(model)):
        way = partial(calibration_inputs, one, noise, judge.data.one_hot(labels))
        seen, verified = way(steps=judge.steps), way(steps=LONG_STEPS)
        for name, modes in MODES.items():
            artifacts += demo.exported(one, output, seen, verified, bar, (name,), modes)
    return artifacts


def step_of(artifact: Artifact) -> Callable[[Mapping[str, np.ndarray]], Any]:
    return artifact.predict if is_step(artifact) else ddim_step(artifact.predict)


def is_step(artifact: Artifact) -> bool:
    return "_step" in artifact.path.stem


def measured(artifacts: list[Artifact], judge: Judge, reference: np.ndarray, bar: Progress) -> list[dict[str, Any]]:
    """A row for each file: its images of the same noise, made in its own runtime, and the time of a call."""
    task = bar.add_task("making images", total=len(artifacts))
    rows = []
    for artifact in artifacts:
        images = judge.images(step_of(artifact))
        rows.append(
            {
                **demo.about(artifact),
                "score": judge.score(images),
                "difference": float(np.abs(images - reference).mean()),
                "images": images,
                "latency": demo.milliseconds(artifact),
            }
        )
        bar.update(task, advance=1, description=f"made images with {artifact.path.name}")
    return rows


def table(rows: list[dict[str, Any]], samples: int) -> Table:
    title = f"{samples:,} images made with each file, in its own runtime, from the same noise"
    columns = {
        "judged as asked": ("score", ".2%"),
        "mean difference to Keras": ("difference", ".1e"),
        "ms / call": ("latency", ".2f"),
    }
    return demo.file_table(title, rows, columns)


def plot(rows: Mapping[str, np.ndarray], titles: list[str], path: Path) -> None:
    """Plots a row of images for each name, a column for each title."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(10, 0.4 + 0.5 * len(rows)), layout="constrained")
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        framed = np.pad(images[: len(titles)], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1)
        pixels = np.clip((np.concatenate(framed, axis=1) + 1) / 2, 0, 1)
        axis.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", interpolation="nearest")
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    width = framed.shape[2]
    axes[0].set_xticks((np.arange(len(titles)) + 0.5) * width - 0.5, titles)
    axes[0].tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    demo.picture(figure, path)
    plt.close(figure)


def pictured(judge: Judge, reference: np.ndarray, rows: list[dict[str, Any]], labels: np.ndarray) -> dict[str, Any]:
    """Real images, and samples of the same classes by Keras and by some files."""
    held = [judge.data.held_x[judge.data.held_y == label] for label in labels]
    images = {row["file"]: row["images"] for row in rows}
    return {
        "real, held out": np.stack([real[i // len(judge.data.names) % len(real)] for i, real in enumerate(held)]),
        "Keras": reference,
        "float file": images["generate.tflite"],
        "int8 file": images["generate_int8.tflite"],
        "float step file": images["generate_step.tflite"],
        "int8 step file": images["generate_step_int8.tflite"],
    }


def shortfalls(score: float, rows: list[dict[str, Any]], least: float) -> list[str]:
    """A sentence for each score that is too low."""
    return demo.shortfalls(score, rows, least, LARGEST_LOSS, f"of {SCORE}")


def loaded(folder: Path | None, size: int | None) -> Data:
    if folder is None:
        if size is not None:
            raise ValueError(f"--size requires --data. Received: --size {size} alone")
        return handwritten()
    size = 16 if size is None else size
    if size % 2:
        raise ValueError(f"--size must be an even number, since the network halves it. Received: --size {size}")
    return of_folder(folder, size)


@click.command()
@output_option("generate_output")
@click.option("--setting", type=click.Choice(list(SETTINGS)), default="small", show_default=True)
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Images, with a folder for each class. By default scikit-learn's digits.",
)
@click.option(
    "--size", type=click.IntRange(8, 64), help="Of the folder's images, which are resized to it.  [default: 16]"
)
def main(output: Path, setting: str, folder: Path | None, size: int | None) -> None:
    """Train, export, and make images. Exit status 1 if they or a file fall short, 2 for data that do not fit."""
    console = demo.console()
    with refusals():
        data = loaded(folder, size)
        output.mkdir(parents=True, exist_ok=True)
    found = run(data, SETTINGS[setting], output, 0.0 if folder else LEAST, console)
    for sentence in found:
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


def run(data: Data, setting: Setting, output: Path, least: float, console: Console) -> list[str]:
    """Trains, exports and measures. Returns a sentence for each score that is too low."""
    console.print(demo.introduction(len(data.x), len(data.names), len(data.held_x)))
    with demo.progress(console) as bar:
        judge = Judge(data, classifier(data, setting.judge_epochs, bar), setting.samples, setting.steps)
        model, comparison, verdict = compared(judge, setting, bar)
        model.save(output / "generate.keras")
        artifacts = exported(model, judge, output, bar)
        reference = judge.images(ddim_step(model))
        score = judge.score(reference)
        rows = measured(artifacts, judge, reference, bar)
    console.print(f"The judge, trained on the same real images, is right for {judge.right():.2%} of those held out.")
    console.print(comparison)
    console.print(verdict)
    console.print(f"The network with SE that is exported: {score:.2%} of {SCORE} in Keras.")
    console.print(table(rows, setting.samples))
    console.print(copies(reference, data))
    guided = judge.score(judge.images(ddim_step(model, guidance=1.0)))
    console.print(f"With guidance 1, which asks the network twice for each step: {guided:.2%} in Keras.")
    _, labels = noise_and_labels(data, COLUMNS)
    titles = [data.names[label] for label in labels]
    plot(pictured(judge, reference, rows, labels), titles, output / "generation.png")
    console.print(f"Picture: {output / 'generation.png'} (real images and samples of the same classes).")
    return shortfalls(score, rows, least)


if __name__ == "__main__":
    main()
