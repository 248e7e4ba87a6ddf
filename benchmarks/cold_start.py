"""Times `keras-se export` as a process, beside a process that builds the same network and calls Keras' exporter.

    python benchmarks/cold_start.py --rounds 7

The two alternate, each timed from the start of Python to its end. The ratio is the median of the rounds. Ours verifies
its file, Keras' does not. Separate processes then measure the steps of our export.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from _shared.results import Results
from _shared.timing import Ratio

OURS = "import sys; from keras_se.cli import main; main()"
KERAS = """
import sys
from keras_se.models import SEMobileNet
SEMobileNet(input_shape=(int(sys.argv[1]),) * 2 + (3,)).export(sys.argv[2], format="litert", verbose=False)
"""
# The steps of the command, each timed.
STEPS = """
import json, sys, time
start = time.perf_counter()
times = {}

def step(name):
    global start
    now = time.perf_counter()
    times[name] = times.get(name, 0) + now - start
    start = now

def timed(module, function, name):
    original = getattr(module, function)
    def call(*args, **options):
        step("the rest")
        result = original(*args, **options)
        step(name)
        return result
    setattr(module, function, call)

import tensorflow
step("import TensorFlow")
import keras
step("import Keras")
import keras_se.cli, keras_se.export, keras_se.models
from keras_se.export.tflite import convert, converter
from keras_se.export.artifact import Artifact
step("import keras_se")
timed(convert, "optimized", "rewrite")
timed(converter, "save", "trace and save")
timed(convert, "write_floats", "convert")
timed(Artifact, "verified", "verify")
model = keras_se.models.SEMobileNet(input_shape=(int(sys.argv[1]),) * 2 + (3,))
step("build")
keras_se.export.to_tflite(model, sys.argv[2])
step("the rest")
print(json.dumps(times))
"""

COLUMNS: dict[str, Callable[[Any], str]] = {
    "what": lambda row: row["what"],
    "seconds": lambda row: f"{row['seconds']:.2f}",
    "ours over Keras' (middle half)": lambda row: (
        Ratio.shown(row) if "ratio" in row else f"{row['share']:.1%} of the steps"
    ),
}


def seconds(*command: str) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return time.perf_counter() - start


def steps(size: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-c", STEPS, str(size), str(folder / "steps.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@click.command()
@click.option("--size", type=click.IntRange(32), default=224, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--name", default="cold_start", show_default=True, help="Of the files in benchmarks/results/.")
def main(size: int, rounds: int, name: str) -> None:
    """Prints medians of the rounds, and the middle half of their ratios."""
    ours, theirs, within = [], [], []
    command = ("export", "SEMobileNet", "--format", "tflite", "--input-shape", f"{size},{size},3", "-o")
    for i in range(rounds + 1):  # the first round fills the disk cache
        with tempfile.TemporaryDirectory() as folder:
            pair = seconds(OURS, *command, folder), seconds(KERAS, str(size), str(Path(folder, "keras.tflite")))
            if i:
                ours.append(pair[0])
                theirs.append(pair[1])
                within.append(steps(size, Path(folder)))
    title = f"A process that exports SE-MobileNet, {size}x{size}, to TFLite, {rounds} rounds"
    results = Results(name, title, COLUMNS, size=size, rounds=rounds)
    results.add(what="keras-se export", seconds=float(np.median(ours)), **Ratio.of(ours, theirs).fields())
    results.add(what="Keras' exporter", seconds=float(np.median(theirs)), ratio=1.0, low=1.0, high=1.0)
    medians = {key: float(np.median([one[key] for one in within])) for key in within[0]}
    for key, value in medians.items():
        results.add(what=f"  {key}", seconds=value, share=value / sum(medians.values()))
    results.show()


if __name__ == "__main__":
    main()
