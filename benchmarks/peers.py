"""Our files beside those of other exporters, of the same network, in the same runtime with the same threads.

    python benchmarks/peers.py
    python benchmarks/peers.py --network seresnet50 --way dynamo --threads 1 --name peers_seresnet50

The others are timm's networks, exported by PyTorch to ONNX (with both of its exporters) and by litert-torch to LiteRT,
and `keras.applications.MobileNetV3Large`, exported by `keras.Model.export`. PyTorch's exporters run in environments of
about 2 GB each, made once in `.cache/peers/` in some minutes. SE-MobileNet (v1) is omitted, because neither timm nor
Keras has it. A failed export, or a file that its runtime refuses, is a row that says so.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from _shared.results import Results
from _shared.timing import Ratio, compared

import keras_se.models
from keras_se.export import to_onnx, to_tflite
from keras_se.weights import ARCHITECTURES

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".cache" / "peers"
KERAS_NETWORK = "keras.applications.MobileNetV3Large"
NETWORKS = ("legacy_seresnet50", "seresnet50", "seresnext50_32x4d", "mobilenetv3_large_100", KERAS_NETWORK)


# The environments, and their packages besides PyTorch and timm.
PACKAGES = {"torch-onnx": ("onnx==1.23.2", "onnxscript==0.7.2"), "litert-torch": ("litert-torch==0.10.0",)}


@dataclass(frozen=True)
class Way:
    """An exporter: the suffix of its files, the function that makes ours, and its environment, if any."""

    suffix: str
    ours: Callable[..., Any]
    environment: str | None = None


# Ours has the same inputs as theirs.
as_torch = partial(to_onnx, layout="nchw", batch_size=1)
WAYS = {
    "torchscript": Way(".onnx", as_torch, "torch-onnx"),
    "dynamo": Way(".onnx", as_torch, "torch-onnx"),
    "litert-torch": Way(".tflite", to_tflite, "litert-torch"),
    "onnx": Way(".onnx", to_onnx),
    "litert": Way(".tflite", to_tflite),
}

COLUMNS: dict[str, Callable[[Any], str]] = {
    "network": lambda row: row["network"],
    "exporter": lambda row: row["exporter"],
    "threads": lambda row: str(row["threads"]),
    "ours (ms)": lambda row: f"{row['ours_ms']:.2f}" if row["ratio"] else "",
    "theirs (ms)": lambda row: f"{row['theirs_ms']:.2f}" if row["ratio"] else "",
    "ours over theirs (middle half)": lambda row: Ratio.shown(row) if row["ratio"] else row["problem"],
    "size": lambda row: f"{row['ours_size'] / row['theirs_size']:.3f}" if row["ratio"] else "",
}


def ours(network: str, size: int) -> keras.Model:
    """Our network of the same architecture, with logits like timm's."""
    if network == KERAS_NETWORK:
        return keras_se.models.SEMobileNetV3Large(input_shape=(size, size, 3))
    builder, options = ARCHITECTURES[network]
    options = {"classifier_activation": None, **options}
    return getattr(keras_se.models, builder)(input_shape=(size, size, 3), **options)


@cache
def environment(name: str) -> Path:
    """The Python of an environment of `PACKAGES`, made like that of the tests' reference."""
    spec = importlib.util.spec_from_file_location(
        "environment", HERE.parent / "tests" / "support" / "timm_reference" / "environment.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    python: Path = module.environment(ENVIRONMENTS / name, PACKAGES[name])
    return python


def write_theirs(network: str, way: str, size: int, path: Path) -> str:
    """Writes the peer's file. Returns the error, or an empty string."""
    if name := WAYS[way].environment:
        case = json.dumps({"network": network, "way": way, "size": size, "path": str(path)})
        command = [environment(name), HERE / "_shared" / "peer_files.py"]
        done = subprocess.run(command, input=case + "\n", capture_output=True, text=True, check=False)
        if done.returncode or not done.stdout:
            return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1][:200]
        problem: str = json.loads(done.stdout.splitlines()[-1])
        return problem
    model = keras.applications.MobileNetV3Large(input_shape=(size, size, 3), weights=None)
    model(np.zeros((1, size, size, 3), "float32"))  # the exporter refuses a model that was never called
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            model.export(path, format=way, verbose=False)
    except Exception as error:  # a failure is a result here
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def compare(results: Results, mine: Path, theirs: Path, threads: int, rounds: int, **row: Any) -> None:
    """Adds a row for two files, or a row that says that the runtime refuses the second."""
    try:
        ratio, first, second = compared(mine, theirs, threads=threads, rounds=rounds)
    except ValueError as error:
        if str(mine) in str(error):
            raise
        results.add(**row, threads=threads, ratio=None, problem=f"refused: {error}"[:300])
        return
    results.add(
        **row,
        threads=threads,
        ours_ms=1e3 * first.latency.median,
        theirs_ms=1e3 * second.latency.median,
        **ratio.fields(),
        ours_size=first.size,
        theirs_size=second.size,
    )


def ways_of(network: str, chosen: Sequence[str]) -> Iterator[str]:
    of_torch = network != KERAS_NETWORK
    return (name for name in chosen if bool(WAYS[name].environment) == of_torch)


@click.command()
@click.option("--network", "networks", multiple=True, type=click.Choice(NETWORKS), default=NETWORKS)
@click.option("--way", "ways", multiple=True, type=click.Choice(tuple(WAYS)), default=tuple(WAYS))
@click.option("--threads", multiple=True, type=click.IntRange(1), default=(1, 2), show_default=True)
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=40, show_default=True)
@click.option("--name", default="peers", show_default=True, help="Of the files in benchmarks/results/.")
def main(
    networks: tuple[str, ...], ways: tuple[str, ...], threads: tuple[int, ...], size: int, rounds: int, name: str
) -> None:
    """Prints medians of the ratios of the rounds, and their middle half."""
    title = f"keras_se beside others, {size}x{size}, batch 1, {rounds} rounds"
    results = Results(name, title, COLUMNS, size=size, rounds=rounds, environments=PACKAGES)
    for network in networks:
        model = ours(network, size)
        with tempfile.TemporaryDirectory() as folder:
            for way in ways_of(network, ways):
                suffix = WAYS[way].suffix
                mine, theirs = Path(folder, f"ours{suffix}"), Path(folder, f"{way}{suffix}")
                problem = write_theirs(network, way, size, theirs)
                if problem:
                    results.add(network=network, exporter=way, threads="", ratio=None, problem=f"failed: {problem}")
                    continue
                if not mine.exists():
                    WAYS[way].ours(model, mine)
                for count in threads:
                    compare(results, mine, theirs, count, rounds, network=network, exporter=way)
        keras.backend.clear_session()
    results.show()
    results.plot_ratios(
        lambda row: f"{row['network'].rpartition('.')[2]}, {row['exporter']}, {row['threads']} threads",
        "latency, ours over theirs",
    )


if __name__ == "__main__":
    main()
