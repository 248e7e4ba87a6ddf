"""What SE costs: latency of each network with SE over the same network without, per format and mode.

    python benchmarks/se_overhead.py --size 224 --rounds 40

Batch 1, through each file's own runtime. The two files take turns in one process.
"""

import tempfile

import click
import numpy as np
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from timing import medians

import keras_se.models
from keras_se.export import FORMATS, export

NETWORKS = ("SEResNet50", "SEMobileNet")
MODES = (None, "int8")


@click.command()
@click.option("--network", "networks", multiple=True, default=NETWORKS, show_default=True)
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
def main(networks: tuple[str, ...], size: int, rounds: int) -> None:
    x = np.random.default_rng(0).standard_normal((8, size, size, 3)).astype("float32")
    table = Table(title=f"With SE over without, {size}x{size}, batch 1, medians of {rounds}")
    for header in ("network", "file", "latency", "size"):
        table.add_column(header, no_wrap=True, justify="left" if header in ("network", "file") else "right")
    for name in networks:
        builder = getattr(keras_se.models, name)
        with tempfile.TemporaryDirectory() as folder:
            pairs = [
                export(
                    builder(r=r, input_shape=(size, size, 3), name=label),
                    folder,
                    quantize=MODES,
                    calibration_data=x,
                )
                for r, label in ((16, "se"), (None, "plain"))
            ]
            for se, plain in zip(*pairs, strict=True):
                times = medians(
                    {"se": lambda f=se: f.predict(x[:1]), "plain": lambda f=plain: f.predict(x[:1])}, rounds
                )
                table.add_row(
                    name,
                    f"{FORMATS[se.format].runtime} {se.quantize or 'float32'}",
                    f"{times['se'] / times['plain']:.3f}",
                    f"{decimal(se.size)} / {decimal(plain.size)}",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
