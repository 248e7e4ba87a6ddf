"""The effect of `optimize` on files: size, latency, and the change of the outputs.

    python benchmarks/rewrites.py
    python benchmarks/rewrites.py --network SEMobileNet --format tflite --mode int8

Each file is exported twice with the same weights, by default and with `optimize=False`. The two alternate. The
difference is that of logits, relative to the largest, over images that neither file was calibrated with.
"""

import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from _shared.measured_networks import BUILDERS, with_statistics
from _shared.results import Results
from _shared.timing import Ratio, compared
from rich.filesize import decimal

import keras_se.models
from keras_se.export import FORMATS, Artifact
from keras_se.export.formats import Format

NETWORKS = ("SEResNet50", "SEMobileNet")
FORMAT_NAMES = ("tflite", "onnx")
FLOATS = "float32"
IMAGES = 4

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "file": lambda row: row["file"],
    "size, default / optimize=False": lambda row: f"{decimal(row['size'])} / {decimal(row['plain_size'])}",
    "smaller by (MB)": lambda row: f"{(row['plain_size'] - row['size']) / 1e6:.2f}",
    "largest relative difference": lambda row: f"{row['difference']:.1e}",
    "latency ratio (middle half)": Ratio.shown,
}


def network(name: str, size: int) -> keras.Model:
    model = getattr(keras_se.models, name)(input_shape=(size, size, 3), classifier_activation=None)
    return with_statistics(model)


def row(model: keras.Model, made: Format, mode: str | None, folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    size = model.input_shape[1]
    known, new = np.random.default_rng(1).standard_normal((2, IMAGES, size, size, 3)).astype("float32")
    options: dict[str, Any] = {"quantize": mode}
    if mode == "int8":
        options["calibration_data"] = known
    ours, plain = (
        made.convert(model, folder / f"{name}{made.suffix}", optimize=optimize, **options)
        for name, optimize in (("default", True), ("plain", False))
    )
    ratio, _, _ = compared(ours.path, plain.path, threads=threads, rounds=rounds)
    return {
        "file": f"{made.runtime} {mode or FLOATS}",
        "size": ours.size,
        "plain_size": plain.size,
        "difference": difference(ours, plain, new),
        **ratio.fields(),
    }


def difference(ours: Artifact, plain: Artifact, x: np.ndarray) -> float:
    expected = plain.predict(x)
    return float(np.abs(ours.predict(x) - expected).max() / np.abs(expected).max())


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(BUILDERS), default=NETWORKS)
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMAT_NAMES), default=FORMAT_NAMES)
@click.option("--mode", "modes", multiple=True, type=click.Choice((FLOATS, "int8")), default=(FLOATS, "int8"))
@click.option("--size", type=click.IntRange(1), default=224, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--name", default="rewrites", show_default=True, help="Of the files in benchmarks/results/.")
def main(
    networks: tuple[str, ...],
    formats: tuple[str, ...],
    modes: tuple[str, ...],
    size: int,
    threads: int,
    rounds: int,
    name: str,
) -> None:
    """Prints medians of the ratios of the rounds, and their middle half."""
    results = Results(name, f"Exports by default over optimize=False, {size}x{size}, batch 1", COLUMNS, threads=threads)
    for which in networks:
        model = network(which, size)
        for name_of_format, mode in product(formats, modes):
            made, wanted = FORMATS[name_of_format], None if mode == FLOATS else mode
            with tempfile.TemporaryDirectory() as folder:
                results.add(network=which, **row(model, made, wanted, Path(folder), threads, rounds))
        keras.backend.clear_session()
    results.show()
    results.plot_ratios(lambda row: f"{row['network']}, {row['file']}", "latency, default over optimize=False")


if __name__ == "__main__":
    main()
