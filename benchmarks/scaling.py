"""How latency, memory and export time grow with the size of images, the batch, and the network's width and depth.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --sweep width --value 0.25 --value 0.5 --format tflite

The files of a sweep alternate in one process per format. Memory is measured in a process per file.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import keras
from _shared.results import Results
from _shared.timing import cores
from rich.filesize import decimal

import keras_se.models
from keras_se import complexity
from keras_se.export import FORMATS, benchmark
from keras_se.models import SEMobileNet

FORMAT_NAMES = ("tflite", "onnx")


@dataclass(frozen=True)
class Sweep:
    """A parameter that grows: its name, its values, and the network and batch that each value makes."""

    label: str
    values: tuple[float, ...]
    build: Callable[[float], keras.Model]
    batch: Callable[[float], int] = lambda value: 1


def mobilenet(size: float = 224, alpha: float = 1.0) -> keras.Model:
    return SEMobileNet(input_shape=(int(size), int(size), 3), alpha=alpha)


def cifar_resnet(depth: float) -> keras.Model:
    """SE-ResNets that differ in depth alone."""
    return getattr(keras_se.models, f"SEResNet{int(depth)}")()


SWEEPS = {
    "size": Sweep("SE-MobileNet, by the image's side", (96, 128, 160, 192, 224, 288), lambda size: mobilenet(size)),
    "batch": Sweep("SE-MobileNet at 96x96, by the batch", (1, 2, 4, 8, 16), lambda _: mobilenet(96), int),
    "width": Sweep("SE-MobileNet, by its width", (0.25, 0.5, 0.75, 1.0, 1.5), lambda alpha: mobilenet(alpha=alpha)),
    "depth": Sweep("SE-ResNet at 32x32, by its depth", (20, 32, 44, 56, 110, 164), cifar_resnet),
}

COLUMNS: dict[str, Callable[[Any], str]] = {
    "value": lambda row: f"{row['value']:g}",
    "file": lambda row: row["file"],
    "latency (ms)": lambda row: f"{row['latency (ms)']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
    "ns / MAC": lambda row: f"{row['ns / MAC']:.4f}",
    "memory": lambda row: decimal(int(1e6 * row["memory (MB)"])),
    "export (s)": lambda row: f"{row['export (s)']:.1f}",
    "size": lambda row: decimal(row["size"]),
    "parameters": lambda row: f"{row['parameters']:,}",
}


def exported(format: str, model: keras.Model, path: Path, batch: int) -> float:
    """Writes a file, and returns the seconds that it took."""
    start = time.perf_counter()
    FORMATS[format].convert(model, path, batch_size=batch)
    return time.perf_counter() - start


def sweep(results: Results, chosen: Sweep, values: Sequence[float], format: str, threads: int, rounds: int) -> None:
    row = FORMATS[format]
    with tempfile.TemporaryDirectory() as folder:
        seconds, costs, paths = [], [], [Path(folder, f"{value:g}{row.suffix}") for value in values]
        for value, path in zip(values, paths, strict=True):
            model = chosen.build(value)
            seconds.append(exported(format, model, path, chosen.batch(value)))
            costs.append(complexity(model))
            keras.backend.clear_session()
        found = benchmark(paths, threads=threads, rounds=rounds, profile=False)
        for value, one, taken, cost in zip(values, found, seconds, costs, strict=True):
            latency = one.latency
            results.add(
                **{
                    "value": value,
                    "file": row.runtime,
                    "latency (ms)": 1e3 * latency.median,
                    "low": 1e3 * latency.low,
                    "high": 1e3 * latency.high,
                    "ns / MAC": 1e9 * latency.median / (cost.macs * chosen.batch(value)),
                    "memory (MB)": (one.memory or 0) / 1e6,
                    "export (s)": taken,
                    "size": one.size,
                    "parameters": cost.parameters,
                    "macs": cost.macs,
                }
            )


@click.command()
@click.option("--sweep", "sweeps", multiple=True, type=click.Choice(tuple(SWEEPS)), default=tuple(SWEEPS))
@click.option("--value", "values", multiple=True, type=float, help="Instead of the sweep's own values.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMAT_NAMES), default=FORMAT_NAMES)
@click.option("--threads", type=click.IntRange(1), default=cores(), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--name", default="scaling", show_default=True, help="Of the files in benchmarks/results/.")
def main(
    sweeps: tuple[str, ...],
    values: tuple[float, ...],
    formats: tuple[str, ...],
    threads: int,
    rounds: int,
    name: str,
) -> None:
    """Makes a table, a document and a plot per sweep. Latencies are medians, with the middle half of the rounds."""
    with tempfile.TemporaryDirectory() as folder:  # the first export sets up shared state
        for each in formats:
            exported(each, mobilenet(32, 0.25), Path(folder, f"first{FORMATS[each].suffix}"), 1)
    for key in sweeps:
        chosen = SWEEPS[key]
        title = f"{chosen.label}, {threads} threads, {rounds} rounds"
        results = Results(f"{name}_{key}", title, COLUMNS, threads=threads, rounds=rounds)
        for each in formats:
            sweep(results, chosen, values or chosen.values, each, threads, rounds)
        results.show()
        results.plot_lines("file", "value", ("latency (ms)", "memory (MB)", "export (s)"), key)


if __name__ == "__main__":
    main()
