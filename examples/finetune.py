"""Put SE into a trained network, train it on, and compare it with the same network trained on without SE.

    python examples/finetune.py --output finetune_output
    python examples/finetune.py --model plain.keras --data photos

Without options the program first trains a plain ResNet on drawn letters (`_shared/drawn_letters.py`), once per seed.
`--data` takes a folder of images with a folder for each class, and `--model` your own classifier.
`keras_se.insert_se` inserts SE, so that the network computes the same at first. Both networks then train for the same
number of steps, on the same images in the same order. The comparison is reported whichever network is better. The files
are those of the last seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import keras
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from _shared.drawn_letters import CLASSES, SIZE, letters
from _shared.image_folder import image_folder
from click.core import ParameterSource
from letters import varied
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from keras_se import insert_se
from keras_se.graph.copy_layers import freeze_like, uncompiled
from keras_se.graph.rewrite import GraphEdits
from keras_se.models import SEResNet

CALIBRATION = 200
# Initial learning rate of Adam, lower than for an untrained network.
RATE = 1e-3
# Images, and the largest difference of their probabilities, before training.
SAME, TOLERANCE = 32, 1e-3
MODES = (None, "int8")


@dataclass(frozen=True)
class Data:
    """Images from 0 to 1, and labels. `varied` makes new images of the same classes."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray
    classes: int
    varied: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None


@dataclass(frozen=True)
class Result:
    """Accuracies on held-out images for one seed: at the start, trained on without SE, and trained on with SE."""

    before: float
    plain: float
    se: float


def drawn(images: int, held_out: int) -> Data:
    (x, y), (held_x, held_y) = letters(images, seed=0), letters(held_out, seed=1)
    return Data(x, y, held_x, held_y, len(CLASSES), varied)


def of_folder(folder: Path, size: tuple[int, int]) -> Data:
    (x, y), (held_x, held_y), names = image_folder(folder, size)
    return Data(x, y, held_x, held_y, len(names))


def build(data: Data) -> keras.Model:
    """A plain network: `r=None` leaves SE out."""
    return SEResNet(
        depths=(1, 1, 1),
        block="basic",
        filters=(24, 48, 96),
        r=None,
        input_shape=data.x.shape[1:],
        classes=data.classes,
        name="plain",
    )


def loaded(path: Path) -> keras.Model:
    model = keras.saving.load_model(path, compile=False)
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:3] or shape[3] != 3:
        raise ValueError(f"The model must take images of a fixed size, in colours. Received: an input of shape {shape}")
    return model


def check_fits(model: keras.Model, data: Data) -> None:
    if model.input_shape[1:] != data.x.shape[1:] or model.output_shape != (None, data.classes):
        raise ValueError(
            f"The model must take images of shape {data.x.shape[1:]} and give {data.classes} probabilities. "
            f"Received: {model.name!r}, from {model.input_shape[1:]} to {model.output_shape[1:]}"
        )
    sums = model.predict(data.held_x[:SAME], verbose=0).sum(axis=-1)
    if not np.allclose(sums, 1, atol=1e-2):  # in half precision they are not 1 exactly
        raise ValueError(
            "The model must give probabilities, those of an image with a sum of 1, as behind a softmax. "
            f"Received: {model.name!r}, with sums from {sums.min():.3g} to {sums.max():.3g}"
        )


def check_needed(given: dict[str, Path | None]) -> None:
    """Refuses options without effect."""
    without_effect = {"--data": ("images", "held_out"), "--model": ("epochs",)}
    context = click.get_current_context()
    for option, others in without_effect.items():
        for name in others if given[option] else ():
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise ValueError(f"--{name.replace('_', '-')} has no effect with {option}. Received: both")


def trained(model: keras.Model, data: Data, epochs: int, seed: int, rate: float, bar: Progress, what: str) -> float:
    """Trains, and returns the accuracy on the held-out images."""
    keras.utils.set_random_seed(seed)  # the same images in the same order, whatever the network
    changed = partial(data.varied, rng=np.random.default_rng(seed)) if data.varied else None
    demo.train(model, data.x, data.y, epochs, bar, varied=changed, rate=rate, what=what)
    return accuracy(model, data)


def accuracy(model: keras.Model, data: Data) -> float:
    return float(np.mean(model.predict(data.held_x, verbose=0).argmax(-1) == data.held_y))


def compared(
    start: keras.Model, data: Data, epochs: int, r: int, seed: int, bar: Progress
) -> tuple[Result, keras.Model]:
    """Trains a network on with SE and without. Returns the accuracies and the network with SE."""
    keras.utils.set_random_seed(seed)
    excited = insert_se(start, where="auto", r=r, identity=True)
    excited.name = f"{start.name}_se"
    plain = GraphEdits(uncompiled(start)).clone()
    freeze_like(start, plain, frozen=not start.trainable)
    check_same(start, plain, data.held_x)
    check_same(start, excited, data.held_x)
    before = accuracy(start, data)
    without = trained(plain, data, epochs, seed, RATE, bar, f"seed {seed}, without SE")
    return Result(before, without, trained(excited, data, epochs, seed, RATE, bar, f"seed {seed}, with SE")), excited


def check_same(start: keras.Model, copy: keras.Model, x: np.ndarray) -> None:
    """Checks that a copy computes what the model computes, so that both networks start equal."""
    expected, actual = (model.predict(x[:SAME], verbose=0) for model in (start, copy))
    difference = np.abs(actual - expected).max()
    if not difference < TOLERANCE:
        raise ValueError(
            f"A copy must compute what the model computes. Received: {copy.name!r}, which differs by {difference:.2g}"
        )


def table(results: list[Result], start: keras.Model, excited: keras.Model, epochs: int) -> Table:
    found = Table(title=f"Accuracy on the held-out images, {demo.seeds(len(results))}", box=SIMPLE_HEAD)
    for header in ("network", "parameters", "accuracy"):
        found.add_column(header, justify="left" if header == "network" else "right")
    for name, model, part in (
        ("as it was", start, "before"),
        (f"trained on without SE, epochs: {epochs}", start, "plain"),
        (f"trained on with SE, epochs: {epochs}", excited, "se"),
    ):
        found.add_row(name, f"{model.count_params():,}", demo.spread([getattr(result, part) for result in results]))
    return found


MODEL_HELP = "A .keras file: a classifier of images with values from 0 to 1 that ends in a softmax."
DATA_HELP = "Images, with a folder for each class. They are resized, and have values from 0 to 1."


@click.command()
@click.option("--model", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), help=MODEL_HELP)
@click.option("--data", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help=DATA_HELP)
@output_option("finetune_output")
@click.option("--images", type=click.IntRange(1), default=5_200, show_default=True, help="Letters to train on.")
@click.option("--held-out", type=click.IntRange(1), default=2_600, show_default=True, help="Letters to measure on.")
@click.option("--epochs", type=click.IntRange(1), default=8, show_default=True, help="Of the network without --model.")
@click.option("--more", type=click.IntRange(1), default=4, show_default=True, help="Epochs afterwards.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many.")
@click.option("-r", type=click.IntRange(1), default=8, show_default=True, help="SE's reduction ratio.")
def main(
    path: Path | None,
    folder: Path | None,
    output: Path,
    images: int,
    held_out: int,
    epochs: int,
    more: int,
    seeds: int,
    r: int,
) -> None:
    """Insert, train on, compare, and export. Exit status 2 for a model or a folder that does not fit."""
    console = demo.console()
    with refusals():
        given = loaded(path) if path else None
        size = given.input_shape[1:3] if given else (SIZE, SIZE)
        data = of_folder(folder, size) if folder else drawn(images, held_out)
        if given:
            check_fits(given, data)
        check_needed({"--data": folder, "--model": path})
        output.mkdir(parents=True, exist_ok=True)
    results = []
    console.print(demo.introduction(len(data.x), data.classes, len(data.held_x)))
    with demo.progress(console) as bar:
        for seed in range(seeds):
            start = given or fresh(data, epochs, seed, bar)
            result, excited = compared(start, data, more, r, seed, bar)
            results.append(result)
    console.print(table(results, start, excited, more))
    console.print(demo.verdict([result.plain for result in results], [result.se for result in results]))
    export(excited, data, output, console)


def fresh(data: Data, epochs: int, seed: int, bar: Progress) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = build(data)
    trained(model, data, epochs, seed, demo.RATE, bar, f"seed {seed}, from nothing")
    return model


def export(model: keras.Model, data: Data, output: Path, console: Console) -> None:
    """TFLite files of the network with SE, each measured on the held-out images in its own runtime."""
    model.save(output / f"{model.name}.keras")
    with demo.progress(console) as bar:
        artifacts = demo.exported(model, output, data.x[:CALIBRATION], data.held_x, bar, ("tflite",), MODES)
    reference, rows = demo.measured(model, artifacts, data.held_x, data.held_y)
    console.print(f"The network with SE that is exported: {reference:.2%} in Keras.")
    console.print(demo.table(rows, len(data.held_x)))


if __name__ == "__main__":
    main()
