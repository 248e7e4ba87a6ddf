"""Classify images with published weights, and print the likeliest classes with a bar for each.

    python examples/classify.py cat.jpg dog.png --weights hf://timm/legacy_seresnet50.in1k

Images are resized and cropped as the publisher of the weights does it.
"""

import sys
from pathlib import Path

import click
import numpy as np
from _shared.command_line import refusals
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from keras_se import weights as published


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--weights", default="hf://timm/legacy_seresnet50.in1k", show_default=True, help="An address or a folder."
)
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many classes.")
def main(images: tuple[Path, ...], weights: str, top: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else 100)
    with refusals():
        # Images first: an image that cannot be read is an error before a network is downloaded.
        prepared = published.preprocessing(weights)
        pixels = np.stack([prepared.load_image(path) for path in images])
        model = published.load(weights)
        probabilities = model.predict(model.preprocessing.preprocess_input(pixels), batch_size=8, verbose=0)
        answers = model.preprocessing.decode_predictions(probabilities, top)
    for path, answer in zip(images, answers, strict=True):
        console.print(bars(path.name, answer))


def bars(name: str, answer: list[tuple[str, str, float]]) -> Table:
    table = Table(title=Text(name), box=SIMPLE_HEAD, title_justify="left")
    for header in ("class", "probability", ""):
        table.add_column(header, justify="right" if header == "probability" else "left")
    for _, label, probability in answer:
        table.add_row(Text(label), f"{probability:.1%}", ProgressBar(total=1.0, completed=probability, width=40))
    return table


if __name__ == "__main__":
    main()
