"""How far correct files are from Keras: the figures behind the tolerances of verification.

    python benchmarks/parity.py --size 96

Weights are random, batch-norm statistics are as after training, inputs are standard normal. All formats and modes are
measured. `--network SEResNet50 --size 224` prints the table of one network at full size.
"""

import tempfile
from typing import Any

import click
import keras
import numpy as np
from _shared.measured_networks import BUILDERS, with_statistics
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

import keras_se.models
from keras_se.export import FORMATS, Artifact, export
from keras_se.export.tflite.runner import Runner

NETWORKS = ("SEResNet18", "SEResNet50", "SEMobileNet")
CALIBRATION = 16


def partitions(artifact: Artifact) -> str:
    return str(Runner(artifact.path).operations()["DELEGATE"]) if artifact.format == "tflite" else ""


def row(name: str, activation: str | None, artifact: Artifact) -> tuple[Any, ...]:
    parity = artifact.parity
    assert parity is not None
    return (
        name,
        activation or "logits",
        f"{artifact.format} {artifact.quantize or ''}".strip(),
        decimal(artifact.size),
        partitions(artifact),
        f"{parity.error:.1e}",
        f"{parity.tolerance:.1e}",
        f"{parity.max_abs:.1e}",
        f"{parity.cosine:.7f}",
        f"{parity.top1_agreement:.0%}",
    )


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(BUILDERS), default=NETWORKS)
@click.option("--size", type=click.IntRange(32), default=96, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(networks: tuple[str, ...], size: int, seed: int) -> None:
    table = Table(title=f"Files against Keras, {size}x{size}")
    for header in (
        "network", "output", "file", "size", "partitions", "error", "allowed", "max diff", "cosine", "top-1"
    ):  # fmt: skip
        table.add_column(header, no_wrap=True)
    for name in networks:
        for activation in (None, "softmax"):
            keras.utils.set_random_seed(seed)
            builder = getattr(keras_se.models, name)
            model = with_statistics(builder(input_shape=(size, size, 3), classifier_activation=activation), seed)
            calibration = np.random.default_rng(seed).standard_normal((CALIBRATION, size, size, 3)).astype("float32")
            with tempfile.TemporaryDirectory() as folder:
                modes = FORMATS["tflite"].modes
                for artifact in export(model, folder, quantize=modes, calibration_data=calibration):
                    table.add_row(*row(name, activation, artifact))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
