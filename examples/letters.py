"""Train a small SE network on drawn letters, export it to every format, and measure each file in its own runtime.

    python examples/letters.py --output letters_output

`_shared/drawn_letters.py` draws the images: 26 capital letters in 15 typefaces, 64x64 pixels in colour. The program
takes about seven minutes of processor time.
"""

import sys
from pathlib import Path

import click
import keras
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from _shared.drawn_letters import CLASSES, SIZE, letters
from PIL import Image

from keras_se.export.modes import MODES
from keras_se.models import SEResNet

CALIBRATION = 200
LEAST_ACCURACY = 0.88
# Loss of accuracy by mode. A wrong file loses more; 8 bits may cost one point.
LARGEST_LOSS = {mode or "float32": 0.003 for mode in MODES} | {"dynamic": 0.01, "int8": 0.01}
SHIFT = 4


def build() -> keras.Model:
    return SEResNet(
        depths=(2, 2, 2),
        block="basic",
        filters=(24, 48, 96),
        r=8,
        input_shape=(SIZE, SIZE, 3),
        classes=len(CLASSES),
        name="letters",
    )


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same letters, shifted by a few pixels, in other colours."""
    result = np.empty_like(images)
    for i, image in enumerate(images):
        turned = np.roll(image[..., rng.permutation(3)], rng.integers(-SHIFT, SHIFT + 1, 2), axis=(0, 1))
        result[i] = 1 - turned if rng.random() < 0.5 else turned
    return result


def plot_samples(images: np.ndarray, path: Path, rows: int = 2, columns: int = 13) -> None:
    """Writes a picture of some images, in few colours, because noise makes large files."""
    grid = images[: rows * columns].reshape(rows, columns, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4)
    pixels = np.rint(grid.reshape(rows * SIZE, columns * SIZE, 3) * 255).astype("uint8")
    Image.fromarray(pixels).quantize(64).save(path, optimize=True)


@click.command()
@output_option("letters_output")
@click.option("--images", type=click.IntRange(1), default=13_000, show_default=True, help="To train on.")
@click.option("--held-out", type=click.IntRange(1), default=2_600, show_default=True, help="To measure on.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(output: Path, images: int, held_out: int, epochs: int, seed: int) -> None:
    """Draw, train, export, and measure. Exit status 1 if the network or a file falls short."""
    console = demo.console()
    with refusals():
        output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build()
    console.print(f"SE-ResNet with {model.count_params():,} parameters, {images:,} images to train on.")
    with demo.progress(console) as bar:
        task = bar.add_task("drawing", total=2)
        x, y = letters(images, seed=2 * seed)
        bar.update(task, advance=1)
        held_x, held_y = letters(held_out, seed=2 * seed + 1)
        bar.update(task, advance=1, description="drawn")
        demo.train(model, x, y, epochs, bar, varied=lambda images: varied(images, rng))
        model.save(output / "letters.keras")
        artifacts = demo.exported(model, output, x[:CALIBRATION], held_x, bar)
    accuracy, rows = demo.measured(model, artifacts, held_x, held_y)
    console.print(f"Keras: {accuracy:.2%} of the {held_out:,} held-out images are right.")
    console.print(demo.table(rows, held_out))
    plot_samples(held_x, output / "letters.png")
    console.print(f"Picture: {output / 'letters.png'} (some of the held-out images).")
    for sentence in (found := demo.shortfalls(accuracy, rows, LEAST_ACCURACY, LARGEST_LOSS)):
        console.print(f"[red]{sentence}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
