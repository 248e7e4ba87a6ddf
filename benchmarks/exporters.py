"""Our files beside those of Keras' exporter, `keras.Model.export`, of the same network.

    python benchmarks/exporters.py --size 224 --rounds 40

The two files of a pair alternate in the same runtime. The ratio is ours over Keras'.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from _shared.results import Results
from _shared.timing import Ratio, compared, cores
from keras import layers
from rich.filesize import decimal

from keras_se import SqueezeExcite
from keras_se.export import FORMATS
from keras_se.export.inspect import inspect
from keras_se.models import SEMobileNet, SEResNet50

# Keras' names of formats.
IN_KERAS = {"tflite": "litert", "onnx": "onnx"}
BLOCK_SIZE = 56

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "file": lambda row: row["format"],
    "ours": lambda row: row["ours"],
    "Keras'": lambda row: row["theirs"],
    "size ours / Keras'": lambda row: f"{decimal(row['ours_size'])} / {decimal(row['theirs_size'])}",
    "latency ratio (middle half)": lambda row: Ratio.shown(row) if row["ratio"] else "-",
}


def grouped(size: int) -> keras.Model:
    """One block with a grouped convolution, as in ResNeXt."""
    image = keras.Input((size, size, 64), name="image")
    x = layers.Conv2D(128, 3, padding="same", groups=32, name="conv")(image)
    x = SqueezeExcite(name="se")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name="grouped")


def state(path: Path) -> str:
    """The number of delegate partitions of a TFLite file; "runs" for other files."""
    return f"{inspect(path).partitions} partitions" if path.suffix == ".tflite" else "runs"


def row(model: keras.Model, format: str, folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    suffix = FORMATS[format].suffix
    ours, theirs = folder / f"ours{suffix}", folder / f"theirs{suffix}"
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        FORMATS[format].convert(model, ours)
        model.export(theirs, format=IN_KERAS[format], verbose=False)
    sizes = {"ours_size": ours.stat().st_size, "theirs_size": theirs.stat().st_size}
    try:
        ratio, _, _ = compared(ours, theirs, threads=threads, rounds=rounds)
    except ValueError as error:  # a refused file is a result here
        if str(ours) in str(error):
            raise
        return {"ours": state(ours), "theirs": f"refused: {str(error)[-100:]}", "ratio": None, **sizes}
    return {"ours": state(ours), "theirs": state(theirs), **ratio.fields(), **sizes}


@click.command()
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=cores(), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--name", default="exporters", show_default=True, help="Of the files in benchmarks/results/.")
def main(size: int, threads: int, rounds: int, name: str) -> None:
    """Prints medians of the ratios of the rounds, and their middle half."""
    title = f"keras_se beside keras.Model.export, {size}x{size}, batch 1, {threads} threads, {rounds} rounds"
    results = Results(name, title, COLUMNS, size=size, threads=threads, rounds=rounds)
    shape = (size, size, 3)
    for model in (SEResNet50(input_shape=shape), SEMobileNet(input_shape=shape), grouped(BLOCK_SIZE)):
        model(np.zeros((1, *model.input_shape[1:]), "float32"))  # Keras' exporter refuses a model that was never called
        for format_name in IN_KERAS:
            with tempfile.TemporaryDirectory() as folder:
                found = row(model, format_name, Path(folder), threads, rounds)
            results.add(network=model.name, format=format_name, **found)
    results.show()
    results.plot_ratios(lambda row: f"{row['network']}, {row['format']}", "latency, ours over Keras'")


if __name__ == "__main__":
    main()
