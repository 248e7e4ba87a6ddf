"""Decides whether a file computes what the Keras model computes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_se.export.modes import MODES

# The error of the part of the outputs that depends on the input is relative to that part, or to this share of the
# outputs if the part is smaller: where samples hardly differ, their rounding errors must not be magnified.
LEAST_VARYING = 0.5
# Errors are relative to at least this share of the largest output: a smaller spread is float rounding.
LEAST_SPREAD = 1e-3
# The number of samples that a file is verified on.
SAMPLES = 8
# Smaller probabilities count as equal: some runtimes flush them to zero.
SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True)
class Parity:
    """How far a file's outputs are from the Keras model's, over all outputs of a number of samples.

    Attributes:
        max_abs, mean_abs: Absolute difference, largest and mean, in the outputs' own unit.
        cosine: The cosine of all outputs of a sample, averaged over samples (1 is best; 0 if the file's outputs are
            all 0).
        top1_agreement: Share of samples, or of positions for outputs of a higher rank, whose largest channel is the
            same, from 0 to 1. Channels with equal values in the file count as the same.
        samples: The number of samples that were compared.
        error: Decides: the root mean square of the difference, relative to that of the reference around its mean, of
            the whole outputs and of the part that differs between samples, whichever is larger. The worst output
            counts. For the outputs of a softmax, logarithms are compared: a probability of 1 can hide a broken
            network. For quantized outputs, one step is forgiven, and probabilities below a step count as equal.
        tolerance: The largest `error` that passes: the mode's in `TOLERANCES`, or, if that is larger, the mode's margin
            times the error of the Keras model with its kernels rounded as the mode rounds them (to 16 bits, to 8 bits
            per channel; for floats, by a few millionths). A deep network that amplifies rounding gets a wide bound,
            and others a tight one.
        passed: Whether all outputs are finite and the error is within the tolerance.
        conclusive: Whether the outputs are evidence. They are not if no value of the model reaches one quantization
            step of an output, as with a softmax over very many classes; if the network amplifies rounding so much
            that the tolerance exceeds the mode's limit; or if a file with the same outputs for all samples would pass.
        reason: Why the comparison is inconclusive, in a sentence; empty if it is conclusive.
    """

    max_abs: float
    mean_abs: float
    cosine: float
    top1_agreement: float
    samples: int
    error: float
    tolerance: float
    passed: bool
    conclusive: bool = True
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON, in which NaN and infinity become `None`."""
        values = asdict(self)
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in values.items()
        }

    def __str__(self) -> str:
        return (
            f"error {self.error:.2e} (at most {self.tolerance:.2g}), largest difference {self.max_abs:.2e}, "
            f"cosine {self.cosine:.7f}, top-1 agreement {self.top1_agreement:.1%}, over {self.samples} samples"
            f"{'. Inconclusive: ' + self.reason if self.passed and self.reason else ''}"
        )


def rounded_kernel(kernel: np.ndarray, quantize: str | None) -> np.ndarray:
    """A kernel as the mode stores it; in float32, with six bits less, a relative error of up to 4e-6."""
    bits = MODES[quantize].weight_bits
    if bits == 32:
        fraction, exponent = np.frexp(kernel)
        return np.ldexp(np.round(fraction * 2**18) / 2**18, exponent).astype(kernel.dtype)
    if bits == 16:
        return kernel.astype("float16").astype(kernel.dtype)
    # A scale for each output channel, which is the last axis, or the last two of a depthwise kernel.
    axes = tuple(range(kernel.ndim - 1 if kernel.shape[-1] > 1 else kernel.ndim - 2))
    step = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True) / (2 ** (bits - 1) - 1), np.finfo("float32").tiny)
    return (np.round(kernel / step) * step).astype(kernel.dtype)


def compare(
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    *,
    quantize: str | None,
    rounded: Mapping[str, np.ndarray] | None = None,
    steps: Mapping[str, float] | None = None,
) -> Parity:
    """Compares a file's outputs with the reference's.

    Args:
        expected, actual: Arrays by output name, samples first.
        quantize: The file's mode.
        rounded: The reference's outputs with kernels rounded by `rounded_kernel`.
        steps: The quantization step of each output that has one.
    """
    steps, mode = steps or {}, MODES[quantize]
    reference, output = _arrays(expected), _arrays(actual)
    for name, array in reference.items():
        if array.shape != output[name].shape:
            raise ValueError(f"The output {name!r} must have the shape {array.shape}. Received: {output[name].shape}")
    pairs = {name: (array, output[name]) for name, array in reference.items()}
    differences = np.concatenate([np.abs(b - a).ravel() for a, b in pairs.values()])
    error = _file_error(reference, output, steps)
    tolerance = mode.tolerance
    if rounded is not None:
        noise = max(_error(reference[name], array, steps.get(name, 0.0)) for name, array in _arrays(rounded).items())
        # A kernel that does not fit into 16 bits gives no bound; the outputs of its file are not finite, either.
        tolerance = max(tolerance, mode.margin * noise) if np.isfinite(noise) else tolerance
    reason = _inconclusive(reference, steps, tolerance, mode.conclusive)
    return Parity(
        max_abs=float(differences.max()),
        mean_abs=float(differences.mean()),
        cosine=_cosine(pairs),
        top1_agreement=_top1_agreement(pairs),
        samples=len(next(iter(reference.values()))),
        error=error,
        tolerance=tolerance,
        passed=error <= tolerance,
        conclusive=not reason,
        reason=reason,
    )


def _inconclusive(
    reference: Mapping[str, np.ndarray], steps: Mapping[str, float], tolerance: float, conclusive: float
) -> str:
    """Why the outputs cannot distinguish a sound file from a broken one; "" if they can."""
    coarse = [name for name, step in steps.items() if np.abs(reference[name]).max() < step]
    if coarse:
        return (
            f"The output {coarse[0]} is quantized in steps of {steps[coarse[0]]:.2g}, and no value of the model "
            "reached one step: all its values are lost, and nothing could be verified."
        )
    if tolerance > conclusive:
        return (
            "The network amplifies rounding so much that little could be verified: an error of up to "
            f"{tolerance:.2g} had to pass."
        )
    constant = {name: np.broadcast_to(array.mean(axis=0), array.shape) for name, array in reference.items()}
    if _file_error(reference, constant, steps) > tolerance:
        return ""
    if len(next(iter(reference.values()))) == 1:
        return "One sample is not enough to tell whether the outputs of the file depend on its inputs."
    return "The outputs hardly depend on the inputs: a file that ignores its inputs would also have passed."


def _arrays(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, "float64") for name, array in outputs.items()}


def _file_error(
    reference: Mapping[str, np.ndarray], output: Mapping[str, np.ndarray], steps: Mapping[str, float]
) -> float:
    """The error of the worst output, with one step forgiven to those that have one."""
    errors = []
    for name, expected in reference.items():
        step = steps.get(name, 0.0)
        errors.append(_error(expected, output[name] + np.clip(expected - output[name], -step, step), step))
    return max(errors)


def _error(reference: np.ndarray, output: np.ndarray, step: float) -> float:
    if not (np.isfinite(reference).all() and np.isfinite(output).all()):
        return float("inf")
    if _is_probability(reference):
        least = max(step, SMALLEST_PROBABILITY)
        reference, output = (np.log(np.maximum(x, least)) for x in (reference, output))
    # Where all values are nearly the same, float rounding is measured against the values themselves.
    least = LEAST_SPREAD * float(np.abs(reference).max())
    spread = _spread(reference - reference.mean())
    error = _relative(output - reference, max(spread, least))
    if len(reference) == 1:
        return error
    # A large common part can hide that a file ignores its input, so the part that differs is compared by itself.
    varying, found = reference - reference.mean(axis=0), output - output.mean(axis=0)
    return max(error, _relative(found - varying, max(_spread(varying), LEAST_VARYING * spread, least)))


def _relative(difference: np.ndarray, scale: float) -> float:
    return _spread(difference) / scale if scale > 0 else _spread(difference)


def _spread(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def _is_probability(x: np.ndarray) -> bool:
    return x.ndim > 1 and x.shape[-1] > 1 and bool((x >= 0).all()) and np.allclose(x.sum(-1), 1.0, atol=1e-3)


def _cosine(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
    references = np.concatenate([reference.reshape(len(reference), -1) for reference, _ in pairs.values()], axis=1)
    outputs = np.concatenate([output.reshape(len(output), -1) for _, output in pairs.values()], axis=1)
    if not np.isfinite(outputs).all():
        return float("nan")
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
