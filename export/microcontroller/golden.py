"""Computes golden vectors: inputs and expected outputs to compare a device with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.tflite.runner import Runner, quantized

# How much float outputs may differ, relative to the largest value.
FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Golden:
    """An array for each input and output, in the file's order and types, samples first, and a tolerance per output.

    Tolerances are in the units of the output: steps of quantization for integers.
    """

    inputs: list[np.ndarray]
    outputs: list[np.ndarray]
    tolerances: list[float]

    @property
    def samples(self) -> int:
        return len(self.inputs[0])


def golden_vectors(path: Path, feeds: Mapping[str, np.ndarray], samples: int, steps: float) -> Golden:
    """Runs the first samples through LiteRT's reference kernels, without a delegate.

    Args:
        path: A TFLite file with a batch of 1.
        feeds: Float arrays by input name, samples first.
        samples: The largest number of samples.
        steps: By how many quantization steps a kernel that rounds the other way may differ.
    """
    runtime = require("ai_edge_litert.interpreter", "tflite")
    reference = runtime.OpResolverType.BUILTIN_REF
    interpreter = runtime.Interpreter(model_path=str(path), experimental_op_resolver_type=reference)
    interpreter.allocate_tensors()
    # The signature has the names, and the lists of details have the order.
    names = {detail["index"]: name for name, detail in interpreter.get_signature_runner().get_input_details().items()}
    details = interpreter.get_input_details()
    inputs = [quantized(feeds[names[detail["index"]]][:samples], detail) for detail in details]
    rows = []
    for i in range(len(inputs[0])):
        for detail, column in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], column[i : i + 1])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    outputs = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return Golden(inputs, outputs, _tolerances(path, interpreter, outputs, steps))


def _tolerances(path: Path, interpreter: Any, outputs: list[np.ndarray], allowed: float) -> list[float]:
    runner = Runner(path)
    signature = interpreter.get_signature_runner().get_output_details()
    names = {detail["index"]: name for name, detail in signature.items()}
    found = []
    for detail, output in zip(interpreter.get_output_details(), outputs, strict=True):
        if output.dtype.kind != "f":
            found.append(allowed)
        else:  # a step in the output's unit if the network is quantized, otherwise a share of the largest value
            step = runner.steps.get(names[detail["index"]], 0.0)
            found.append(float(np.float32(1.01 * allowed * step or FLOAT_TOLERANCE * np.abs(output).max())))
    return found
