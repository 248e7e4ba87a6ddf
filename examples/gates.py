"""Train a network with channel and spatial SE on drawn letters, and draw what its gates do.

    python examples/gates.py --output gates_output

It prints a table of gates and writes five pictures: the mean gate of each channel by class, as lines and as a map; the
spread within two classes; the share of saturated gates; and the regions that blocks emphasise in some images.
"""

from pathlib import Path

import click
import keras
import numpy as np
from _shared import demo
from _shared.command_line import output_option, refusals
from _shared.drawn_letters import CLASSES, SIZE, letters
from letters import varied

from keras_se import ConcurrentSqueezeExcite, excitation
from keras_se.models import SEResNet

# Two pairs of similar letters.
FEW = ("E", "F", "O", "Q")
OVERLAID = 3


def build() -> keras.Model:
    return SEResNet(
        depths=(1, 1, 1),
        block="basic",
        filters=(24, 48, 96),
        se=lambda stage: ConcurrentSqueezeExcite(4),
        input_shape=(SIZE, SIZE, 3),
        classes=len(CLASSES),
        name="letters_scse",
    )


@click.command()
@output_option("gates_output")
@click.option("--images", type=click.IntRange(1), default=7_800, show_default=True, help="To train on.")
@click.option("--held-out", type=click.IntRange(len(CLASSES)), default=1_040, show_default=True, help="To record.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(output: Path, images: int, held_out: int, epochs: int, seed: int) -> None:
    """Train, record, and draw."""
    console = demo.console()
    with refusals():
        output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build()
    with demo.progress(console) as bar:
        x, y = letters(images, seed=2 * seed)
        held_x, held_y = letters(held_out, seed=2 * seed + 1)
        demo.train(model, x, y, epochs, bar, varied=lambda images: varied(images, rng))
    accuracy = np.mean(model.predict(held_x, verbose=0).argmax(-1) == held_y)
    console.print(f"{accuracy:.1%} of the {held_out:,} held-out images are right. Their gates:")
    recorded = excitation.record(model, held_x)
    console.print(excitation.summarize(recorded).table())
    names = np.array(list(CLASSES))[held_y]
    few = excitation.record(model, held_x[:OVERLAID], maps=True)
    figures = {
        "means": excitation.plot_means(recorded, names, classes=FEW),
        "classes": excitation.plot_classes(recorded, names),
        "spread": excitation.plot_spread(recorded, names, classes=FEW[1:3]),
        "saturation": excitation.plot_saturation(recorded),
        "overlay": excitation.plot_overlay(few, held_x[:OVERLAID], labels=names[:OVERLAID]),
    }
    for name, figure in figures.items():
        demo.picture(figure, output / f"{name}.png")
    console.print(f"Pictures: {', '.join(f'{name}.png' for name in figures)} in {output}.")
    model.save(output / "letters_scse.keras")


if __name__ == "__main__":
    main()
