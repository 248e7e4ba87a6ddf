"""What SE costs: each network with SE over the same network without SE, per format and mode, and in training.

    python benchmarks/se_overhead.py
    python benchmarks/se_overhead.py --network SEMobileNet --format onnx --threads 1 --name se_mobilenet_onnx

The batch is 1, and each file runs in its own runtime. The two files alternate. A training step is one of stochastic
gradient descent with batch 16, at 96x96.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import click
import keras
import numpy as np
from _shared.measured_networks import BUILDERS
from _shared.results import Results
from _shared.timing import Ratio, compared, cores
from rich.filesize import decimal

import keras_se.models
from keras_se.export import FORMATS, export
from keras_se.export.modes import calibrated_names
from keras_se.export.probes.timing import turns

NETWORKS = ("SEResNet50", "SEResNeXt50", "SEMobileNet", "SEMobileNetV3Large")
# Networks that take pixels by default: images here are noise around 0.
OPTIONS: dict[str, dict[str, Any]] = {"SEMobileNetV3Large": {"include_preprocessing": False}}
# With random weights, these files are too far from Keras to pass their verification.
OMITTED = {("SEMobileNetV3Large", "onnx", "int8")}
FILES = ("saved_model", "tflite", "onnx")
FLOATS = "float32"
BATCH, TRAINING_SIZE, CLASSES = 16, 96, 10
# After this time and five rounds, no new round of training starts. On processors, a step with grouped convolutions
# takes 20 s.
SECONDS = 120

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "what": lambda row: row["what"],
    "threads": lambda row: str(row["threads"]),
    "with SE (ms)": lambda row: f"{row['se_ms']:.2f}",
    "without (ms)": lambda row: f"{row['plain_ms']:.2f}",
    "ratio (middle half)": Ratio.shown,
    "size": lambda row: _both(row, "size"),
    "memory": lambda row: _both(row, "memory"),
}


def _both(row: dict[str, Any], key: str) -> str:
    values = [row.get(f"{which}_{key}") for which in ("se", "plain")]
    return "" if None in values else " / ".join(decimal(value) for value in values)


def pair(network: str, size: int, **options: Any) -> list[keras.Model]:
    """The network with SE and without."""
    builder = getattr(keras_se.models, network)
    options = OPTIONS.get(network, {}) | options
    return [
        builder(input_shape=(size, size, 3), **{"name": name, **plain, **options})
        for name, plain in (("se", {}), ("plain", {"r": None}))
    ]


def files(results: Results, network: str, size: int, formats: tuple, modes: tuple, threads: tuple, rounds: int) -> None:
    x = np.random.default_rng(0).standard_normal((8, size, size, 3)).astype("float32")
    wanted = [None if mode == FLOATS else mode for mode in modes]
    for name in formats:
        own = [mode for mode in wanted if mode in FORMATS[name].modes and (network, name, mode) not in OMITTED]
        if not own:
            continue
        data = x if set(own) & set(calibrated_names()) else None
        with tempfile.TemporaryDirectory() as folder:
            with_se, without = (
                export(model, folder, name, quantize=own, calibration_data=data) for model in pair(network, size)
            )
            for se, plain in zip(with_se, without, strict=True):
                for count in threads:
                    ratio, first, second = compared(se.path, plain.path, threads=count, rounds=rounds, memory=True)
                    results.add(
                        network=network,
                        what=f"{FORMATS[name].runtime} {se.quantize or FLOATS}",
                        threads=count,
                        se_ms=1e3 * first.latency.median,
                        plain_ms=1e3 * second.latency.median,
                        **ratio.fields(),
                        se_size=first.size,
                        plain_size=second.size,
                        se_memory=first.memory,
                        plain_memory=second.memory,
                    )


def training_step(model: keras.Model, jit: bool) -> Callable[[], object]:
    """A function that trains a network for one step per call, always on the same images."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, *model.input_shape[1:])).astype("float32")
    y = rng.integers(0, CLASSES, BATCH)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit)
    return lambda: model.train_on_batch(x, y)


def training(results: Results, network: str, jit: bool, rounds: int) -> None:
    models = pair(network, TRAINING_SIZE, classes=CLASSES)
    found = turns([training_step(model, jit) for model in models], rounds, SECONDS)
    se, plain = np.median(found, axis=1)
    what = f"training step, {'XLA' if jit else 'no XLA'}"
    ratio = Ratio.of(*found)
    measured = {"se_ms": 1e3 * se, "plain_ms": 1e3 * plain, "rounds": found.shape[1]}  # the time may have run out
    results.add(network=network, what=what, threads=cores(), **measured, **ratio.fields())


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(BUILDERS), default=NETWORKS)
@click.option("--format", "formats", multiple=True, type=click.Choice(FILES), default=FILES, show_default=True)
@click.option("--mode", "modes", multiple=True, default=(FLOATS, "int8"), show_default=True)
@click.option("--threads", multiple=True, type=click.IntRange(1), default=(1, 2), show_default=True)
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--files/--no-files", "of_files", default=True, show_default=True)
@click.option("--training/--no-training", "of_training", default=True, show_default=True)
@click.option("--name", default="se_overhead", show_default=True, help="Of the files in benchmarks/results/.")
def main(
    networks: tuple[str, ...],
    formats: tuple[str, ...],
    modes: tuple[str, ...],
    threads: tuple[int, ...],
    size: int,
    rounds: int,
    of_files: bool,
    of_training: bool,
    name: str,
) -> None:
    """Prints medians of the ratios of the rounds, and their middle half."""
    title = f"With SE over without, {size}x{size}, batch 1, {rounds} rounds"
    results = Results(name, title, COLUMNS, size=size, rounds=rounds)
    for network in networks:
        if of_files:
            files(results, network, size, formats, modes, threads, rounds)
        for jit in (False, True) if of_training else ():
            training(results, network, jit, rounds)
        keras.backend.clear_session()
    results.show()
    results.plot_ratios(
        lambda row: f"{row['network']}, {row['what']}, {row['threads']} threads", "latency with SE over without"
    )


if __name__ == "__main__":
    main()
