"""Whether a file computes what the Keras model computes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# The largest `Parity.error` that passes, for each mode of quantization. Ten or more times what sound files were
# measured to have where that is rounding of floats (2e-6, 1e-3), and three or more where it is quantization
# (0.03, 0.04, 0.02): benchmarks/parity.py prints the figures.
TOLERANCES = {None: 1e-4, "float16": 1e-2, "dynamic": 0.12, "int8": 0.15, "int16x8": 0.1}

SAMPLES = 8
# Probabilities below this are the same to every runtime: some flush what is smaller to zero.
SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True)
class Parity:
    """How far a file's outputs are from the Keras model's, over all outputs of a number of samples.

    Attributes:
        max_abs, mean_abs: Absolute difference, largest and mean, in the outputs' own unit.
        cosine: Of all outputs of a sample, the mean over samples (1 is best; 0 where the file's outputs are all 0).
        top1_agreement: Share of samples, or of positions for outputs of a higher rank, whose largest channel is the
            same, from 0 to 1. Channels that the file cannot tell apart count as the same.
        samples: How many samples were compared.
        error: What is judged: root mean square of the difference, relative to that of the reference around its
            mean; the worst output counts. Of the float files of networks that end in a softmax, it is
            taken of the logarithms: a softmax can hide a broken network behind a probability of 1. Steps of
            quantized outputs are forgiven up to one step.
        tolerance: The largest `error` that passes.
        passed: Whether all outputs are finite and the error is within the tolerance.
    """

    max_abs: float
    mean_abs: float
    cosine: float
    top1_agreement: float
    samples: int
    error: float
    tolerance: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"error {self.error:.2e} (at most {self.tolerance:g}), largest difference {self.max_abs:.2e}, "
            f"cosine {self.cosine:.7f}, top-1 agreement {self.top1_agreement:.1%}, over {self.samples} samples"
        )


def compare(
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    *,
    quantize: str | None,
    steps: Mapping[str, float] | None = None,
) -> Parity:
    """Compares a file's outputs with the reference's.

    Args:
        expected, actual: Arrays by output name, samples first.
        quantize: The file's mode, which has a tolerance in `TOLERANCES`.
        steps: The quantization step of each output that has one.
    """
    steps = steps or {}
    pairs = {name: (np.asarray(expected[name], "float64"), np.asarray(actual[name], "float64")) for name in expected}
    for name, (reference, output) in pairs.items():
        if reference.shape != output.shape:
            raise ValueError(f"The output {name!r} must have the shape {reference.shape}. Received: {output.shape}")
    finite = all(np.isfinite(output).all() for _, output in pairs.values())
    differences = np.concatenate([np.abs(output - reference).ravel() for reference, output in pairs.values()])
    error = max(
        _error(reference, output, quantize, steps.get(name, 0.0)) for name, (reference, output) in pairs.items()
    )
    tolerance = TOLERANCES[quantize]
    return Parity(
        max_abs=float(differences.max()),
        mean_abs=float(differences.mean()),
        cosine=_cosine(pairs),
        top1_agreement=_top1_agreement(pairs),
        samples=len(next(iter(pairs.values()))[0]),
        error=error,
        tolerance=tolerance,
        passed=bool(finite and error <= tolerance),
    )


def _error(reference: np.ndarray, output: np.ndarray, quantize: str | None, step: float) -> float:
    if step == 0.0 and _is_probability(reference):
        reference, output = (np.log(np.maximum(x, SMALLEST_PROBABILITY)) for x in (reference, output))
    difference = np.maximum(np.abs(output - reference) - step, 0.0)
    # Where all values are nearly the same, float rounding is measured against the values themselves.
    spread = np.sqrt(np.mean((reference - reference.mean()) ** 2))
    scale = max(spread, 1e-3 * np.abs(reference).max())
    rms = np.sqrt(np.mean(difference**2))
    return float(rms / scale) if scale > 0 else float(rms)


def _is_probability(x: np.ndarray) -> bool:
    return x.ndim > 1 and x.shape[-1] > 1 and bool((x >= 0).all()) and np.allclose(x.sum(-1), 1.0, atol=1e-3)


def _cosine(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
    references = np.concatenate([reference.reshape(len(reference), -1) for reference, _ in pairs.values()], axis=1)
    outputs = np.concatenate([output.reshape(len(output), -1) for _, output in pairs.values()], axis=1)
    norms = np.linalg.norm(references, axis=1) * np.linalg.norm(outputs, axis=1)
    products = np.sum(references * outputs, axis=1)
    equal = np.all(references == outputs, axis=1)  # two vectors of zeros, too
    return float(np.mean(np.where(equal, 1.0, products / np.where(norms > 0, norms, 1.0))))


def _top1_agreement(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
    agreements = []
    for reference, output in pairs.values():
        if reference.ndim < 2:
            continue
        best = np.take_along_axis(output, reference.argmax(-1, keepdims=True), -1)[..., 0]
        agreements.append((best >= output.max(-1)).ravel())
    return float(np.concatenate(agreements).mean()) if agreements else 1.0
