"""Asks Arm's compiler Vela which operations of a TFLite file it leaves on the CPU."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_se._text import last_line
from keras_se.export.inspect.inspection import Inspection
from keras_se.export.probes.sandbox import TIMEOUT
from keras_se.export.targets.reasons import Reason

ACCELERATORS = ("ethos-u55-128", "ethos-u65-256")
ON_THE_CPU = re.compile(r"^ +CPU: \S+ = (.*) \(outputs", re.MULTILINE)
NOT_SUPPORTED = re.compile(
    r"^Warning \(supported operators\) operator: (\S+), ofm: '(.*)'\nReason: (.*)$", re.MULTILINE
)
SOURCE = "ethos-u-vela"


def installed() -> bool:
    """Whether `ethos-u-vela` is installed."""
    return importlib.util.find_spec("ethosu") is not None and importlib.util.find_spec("ethosu.vela") is not None


def left_on_the_cpu(inspection: Inspection) -> Iterator[Reason]:
    """Compiles the file for each accelerator, in a temporary folder; a reason for each operation left on the CPU."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for accelerator in ACCELERATORS:
        for reason in _left_by(inspection, accelerator):
            found.setdefault(reason, []).append(accelerator)
    for (problem, where, action), accelerators in found.items():
        yield Reason(f"{problem} ({', '.join(accelerators)})", where, action, SOURCE)


def _left_by(inspection: Inspection, accelerator: str) -> Iterator[tuple[str, str, str]]:
    status, output = _compile(inspection.path, accelerator)
    if status:
        yield f"Vela does not compile the file: {last_line(output)}", "", "Export it with quantize='int8'."
        return
    kinds = {tensor.name: one.kind for one in inspection.operations for tensor in one.outputs}
    why = {name: reason for _, name, reason in NOT_SUPPORTED.findall(output)}
    for name in dict.fromkeys([*ON_THE_CPU.findall(output), *why]):
        kind = kinds.get(name, "an operation")
        detail = f": {why[name].rstrip('.')}" if name in why else ""
        yield f"Vela leaves {kind} on the CPU{detail}.", name, _action(kind)


def _action(kind: str) -> str:
    if kind in ("QUANTIZE", "DEQUANTIZE"):
        return "Export with quantize='int8' and io_dtype='int8'."
    return "Export with quantize='int8'. If the operation still stays on the CPU, replace its layer."


def _compile(path: Path, accelerator: str) -> tuple[int, str]:
    """Runs Vela in another process; returns its exit status and its output."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.tflite"
        shutil.copyfile(path, model)
        options = ["--output-dir", folder, "--accelerator-config", accelerator, "--show-cpu-operations"]
        command = [sys.executable, "-P", "-m", "ethosu.vela", str(model), *options]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return 1, f"it took longer than {TIMEOUT:.0f} s"
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")
