"""Time and memory of loading SE-ResNet-152, beside reading the file and building the network.

The weights are random, in the format of the published ones. Each figure is of separate processes, which alternate. They
use the backend that KERAS_BACKEND names, as everywhere in Keras:

    KERAS_BACKEND=jax python benchmarks/loading.py

On JAX, glibc keeps the memory of the random initial values for the threads that made them, so the loaded values come on
top. With MALLOC_MMAP_THRESHOLD_=131072 it returns that memory at once.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURE = "legacy_seresnet152"
ROUNDS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _measured("write", folder)
        size = (folder / "model.safetensors").stat().st_size
        runs = [{job: _measured(job, folder) for job in ("read", "build", "load")} for _ in range(ROUNDS)]
    seconds = {job: np.median([run[job]["seconds"] for run in runs]) for job in runs[0]}
    extra = {job: np.median([run[job]["bytes"] for run in runs]) / size for job in runs[0]}
    backend = runs[0]["load"]["backend"]
    print(f"{ARCHITECTURE} on {backend}: {size / 1e6:.0f} MB of float32, medians of {ROUNDS} processes each")
    for job in seconds:
        print(f"{job:6s} {seconds[job]:6.2f} s   {extra[job]:.2f} times the file's size at the peak")
    print(f"load over read and build: {seconds['load'] / (seconds['read'] + seconds['build']):.2f} of the time,")
    print(f"{extra['load'] - extra['build']:+.2f} times the file's size of memory above building alone")


def _measured(job: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, job, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run(job: str, folder: Path) -> None:
    """Runs one job in this process, and prints its time and its peak growth of memory."""
    import keras
    import safetensors.numpy

    from keras_se import weights
    from keras_se.models import SEMobileNet, SEResNet152

    SEMobileNet(input_shape=(32, 32, 3))  # the first network sets up shared state
    jobs = {
        "read": lambda: safetensors.numpy.load_file(folder / "model.safetensors"),
        "build": SEResNet152,
        "load": lambda: weights.load(folder),
        "write": lambda: write(folder, SEResNet152()),
    }
    keras.utils.set_random_seed(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, start = _memory("VmRSS"), time.perf_counter()
    kept = jobs[job]()
    seconds = time.perf_counter() - start
    grown = _memory("VmHWM") - before
    print(json.dumps({"seconds": seconds, "bytes": grown, "backend": keras.backend.backend()}))
    del kept


def _memory(key: str) -> int:
    """A figure of the process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def write(folder: Path, model: object) -> None:
    """Writes a checkpoint of the network's values, under the names of the source."""
    import safetensors.numpy

    from keras_se.weights.mapping import AXES, PARTS, find_target
    from keras_se.weights.timm import FAMILIES

    layers = {layer.name: layer for layer in model.layers}
    values = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.variables}
    (family,) = (family for family in FAMILIES if family.mark == "layer0.conv1.weight")
    tensors = {}
    for rule, stage, block, i in itertools.product(family.rules, range(6), range(40), range(1, 4)):
        for part in PARTS[rule.kind]:
            name = f"{rule.source.format(stage=stage, block=block, i=i)}.{part}"
            to = find_target(family, name, layers)
            if to and to.path in values and name not in tensors:
                axes = AXES[to.axes]
                value = np.asarray(values[to.path])
                tensors[name] = np.ascontiguousarray(value.transpose(np.argsort(axes)) if axes else value)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architecture": ARCHITECTURE, "num_classes": 1000}))


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main()
