"""Time and memory of a process that exports SE-MobileNet at 224x224, with 100 calibration images.

    python benchmarks/export_cost.py --rounds 3 --json export_cost.json

Each figure is of separate processes, from start to end, on two cores. Other load lengthens the wall-clock time, but
hardly the processor time. On idle cores the wall-clock time is the shorter one.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

NETWORK, SIZE, SAMPLES, CORES = "SEMobileNet", 224, 100, 2
MODES = ("none", "int8")
MOST_SECONDS, MOST_BYTES = 60, 4e9

PROGRAM = """
import sys
import numpy as np
import keras_se.models
from keras_se.export import to_tflite

network, mode, path, size, samples = sys.argv[1:4] + [int(value) for value in sys.argv[4:]]
images = np.random.default_rng(0).standard_normal((samples, size, size, 3)).astype("float32")
model = getattr(keras_se.models, network)(input_shape=(size, size, 3))
quantize = None if mode == "none" else mode
to_tflite(model, path, quantize=quantize, calibration_data=images if quantize else None)
"""


def measured(mode: str) -> dict[str, float]:
    """One export: wall-clock and processor seconds, and its peak memory in bytes."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    with tempfile.TemporaryDirectory() as folder:
        arguments = [NETWORK, mode, str(Path(folder) / "model.tflite"), str(SIZE), str(SAMPLES)]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"The export in mode {mode} ended with status {process.returncode}.")
    return {"wall": seconds, "user": usage.ru_utime, "system": usage.ru_stime, "bytes": usage.ru_maxrss * 1024}


def table(rows: list[dict[str, Any]], rounds: int) -> Table:
    title = f"Exports of {NETWORK}, {SIZE}x{SIZE}, to TFLite on {CORES} cores: medians of {rounds}"
    result = Table(title=title)
    for header in ("mode", "calibration", "by the clock", "fastest", "of processors", "memory at the peak"):
        result.add_column(header, justify="left" if header == "mode" else "right", no_wrap=True)
    for row in rows:
        result.add_row(
            row["mode"],
            f"{row['samples']} images",
            f"{row['wall']:.1f} s",
            f"{row['fastest']:.1f} s",
            f"{row['user'] + row['system']:.1f} s",
            f"{row['bytes'] / 1e9:.2f} GB",
        )
    return result


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "document", type=click.Path(path_type=Path), help="A file for the figures.")
def main(rounds: int, document: Path | None) -> None:
    """Exit status 1 if int8 takes a minute of processor time, or 4 GB."""
    runs: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode, found in runs.items():  # modes alternate
            found.append(measured(mode))
    rows = [
        {
            "mode": "float32" if mode == "none" else mode,
            "samples": 0 if mode == "none" else SAMPLES,
            "fastest": min(run["wall"] for run in found),
            **{key: float(np.median([run[key] for run in found])) for key in found[0]},
        }
        for mode, found in runs.items()
    ]
    Console(width=120).print(table(rows, rounds))
    if document is not None:
        document.write_text(json.dumps({"cores": CORES, "rounds": rounds, "exports": rows}, indent=2) + "\n")
    int8 = rows[-1]
    sys.exit(1 if int8["user"] + int8["system"] > MOST_SECONDS or int8["bytes"] > MOST_BYTES else 0)


if __name__ == "__main__":
    main()
