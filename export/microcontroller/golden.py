"""Golden vectors: inputs with the outputs that a file must have for them, to compare a device with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_se.export.errors import require
from keras_se.export.tflite.runner import Runner, quantized

# What outputs in floats may be off by: a share of the largest value.
FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Golden:
    """Arrays for each input and output, in the file's order and types, samples first, and what outputs may be off by.

    The tolerances are in the outputs' own units: steps for integers.
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    tolerances: list[float]

    @property
    def samples(self) -> int:
        return len(self.inputs[0])


def golden_vectors(path: Path, feeds: Mapping[str, np.ndarray], samples: int, steps: float) -> Golden:
    """What LiteRT's reference kernels, without a delegate, compute of the first samples.

    Args:
        path: A TFLite file of batch 1.
        feeds: Arrays by input name, samples first, in floats.
        samples: How many at most.
        steps: How many steps a kernel that rounds the other way can be off.
    """
    runtime = require("ai_edge_litert.interpreter", "tflite")
    reference = runtime.OpResolverType.BUILTIN_REF
    interpreter = runtime.Interpreter(model_path=str(path), experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    # Its signature knows the names, and its lists the order.
    names = {detail["index"]: name for name, detail in interpreter.get_signature_runner().get_input_details().items()}
    ends = interpreter.get_input_details()
    inputs = [quantized(feeds[names[detail["index"]]][:samples], detail) for detail in ends]
    rows = []
    for i in range(len(inputs[0])):
        for detail, column in zip(ends, inputs, strict=True):
            interpreter.set_tensor(detail["index"], column[i : i + 1])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    outputs = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return Golden(inputs, outputs, _tolerances(path, interpreter, outputs, steps))


def _tolerances(path: Path, interpreter: object, outputs: list[np.ndarray], allowed: float) -> list[float]:
    runner = Runner(path)
    signature = interpreter.get_signature_runner().get_output_details()  # type: ignore[attr-defined]
    names = {detail["index"]: name for name, detail in signature.items()}
    found = []
    for detail, output in zip(interpreter.get_output_details(), outputs, strict=True):  # type: ignore[attr-defined]
        if output.dtype.kind != "f":
            found.append(allowed)
        else:  # of an integer network with floats at its ends, a step in floats
            step = runner.steps.get(names[detail["index"]], 0.0)
            found.append(float(np.float32(1.01 * allowed * step or FLOAT_TOLERANCE * np.abs(output).max())))
    return found
