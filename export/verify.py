"""Whether a file computes what the Keras model computes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# What `Parity.error` may be, at least, for each mode; see `Parity.tolerance`. benchmarks/parity.py prints what it is.
TOLERANCES = {None: 1e-3, "float16": 2e-3, "dynamic": 0.05, "int8": 0.15, "int16x8": 0.1}
# How much more than the rounding of its kernels alone a sound file can be off: activations are rounded, too.
MARGIN = 4.0
# And what no file may be off, however much its network amplifies rounding: one that ignores its input is off by 1.
LARGEST_TOLERANCES = {None: 1e-2, "float16": 0.3, "dynamic": 0.75, "int8": 0.75, "int16x8": 0.75}
# How small the part of the outputs that depends on the input may be to be judged by itself, relative to the outputs.
LEAST_VARYING = 0.1
# And how small the spread of the outputs may be, relative to the largest, before it is float rounding that is seen.
LEAST_SPREAD = 1e-3

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
            mean; also of what samples differ in, by itself. The worst output counts. Of float outputs of a softmax
            it is taken of the logarithms: a softmax can hide a broken network behind a probability of 1. Of
            quantized outputs, one step is forgiven.
        tolerance: The largest `error` that passes: the mode's in `TOLERANCES`, or four times the error of the Keras
            model itself with its kernels rounded as the mode rounds them (to 16 bits, to 8 bits per channel; for
            floats, by a few millionths), up to the mode's in `LARGEST_TOLERANCES`. So a deep network that amplifies
            rounding is not refused for it, and a tame one is held to a tight bound.
        passed: Whether all outputs are finite and the error is within the tolerance.
        conclusive: Whether the outputs could tell: not if an output is quantized in steps that no value of the
            model reaches, as of a softmax over very many classes.
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

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN and no infinity: they are `None`."""
        values = asdict(self)
        return {name: None if not np.isfinite(value) else value for name, value in values.items()}

    def __str__(self) -> str:
        return (
            f"error {self.error:.2e} (at most {self.tolerance:.2g}), largest difference {self.max_abs:.2e}, "
            f"cosine {self.cosine:.7f}, top-1 agreement {self.top1_agreement:.1%}, over {self.samples} samples"
        )


def rounded_kernel(kernel: np.ndarray, quantize: str | None) -> np.ndarray:
    """A kernel as the mode stores it; of floats, with six bits less, a relative error of up to 4e-6."""
    if quantize is None:
        fraction, exponent = np.frexp(kernel)
        return np.ldexp(np.round(fraction * 2**18) / 2**18, exponent).astype(kernel.dtype)
    if quantize == "float16":
        return kernel.astype("float16").astype(kernel.dtype)
    # 8 bits for each output channel, which is the last axis, or the last two of a depthwise kernel.
    axes = tuple(range(kernel.ndim - 1 if kernel.shape[-1] > 1 else kernel.ndim - 2))
    step = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True) / 127, np.finfo("float32").tiny)
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
        quantize: The file's mode, which has a tolerance in `TOLERANCES`.
        rounded: The reference's outputs with kernels that were rounded by `rounded_kernel`.
        steps: The quantization step of each output that has one.
    """
    steps = steps or {}
    reference = _arrays(expected)
    output = _arrays(actual)
    for name, array in reference.items():
        if array.shape != output[name].shape:
            raise ValueError(f"The output {name!r} must have the shape {array.shape}. Received: {output[name].shape}")
    pairs = {name: (array, output[name]) for name, array in reference.items()}
    differences = np.concatenate([np.abs(b - a).ravel() for a, b in pairs.values()])
    error = max(_error(*pair, steps.get(name, 0.0), name not in steps) for name, pair in pairs.items())
    tolerance = TOLERANCES[quantize]
    if rounded is not None:
        noise = [_error(reference[name], array, 0.0, name not in steps) for name, array in _arrays(rounded).items()]
        tolerance = min(max(tolerance, MARGIN * max(noise)), LARGEST_TOLERANCES[quantize])
    finite = all(np.isfinite(array).all() for array in output.values())
    return Parity(
        max_abs=float(differences.max()),
        mean_abs=float(differences.mean()),
        cosine=_cosine(pairs),
        top1_agreement=_top1_agreement(pairs),
        samples=len(next(iter(reference.values()))),
        error=error,
        tolerance=tolerance,
        passed=bool(finite and error <= tolerance),
        conclusive=all(np.abs(reference[name]).max() >= step for name, step in steps.items()),
    )


def _arrays(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, "float64") for name, array in outputs.items()}


def _error(reference: np.ndarray, output: np.ndarray, step: float, logarithms: bool) -> float:
    if logarithms and _is_probability(reference):
        reference, output = (np.log(np.maximum(x, SMALLEST_PROBABILITY)) for x in (reference, output))
    # Where all values are nearly the same, float rounding is measured against the values themselves.
    least = LEAST_SPREAD * float(np.abs(reference).max())
    spread = _spread(reference - reference.mean())
    error = _relative(output - reference, step, max(spread, least))
    if len(reference) == 1:
        return error
    # What all samples have in common can hide that a file ignores its input: what they differ in is judged, too.
    varying, found = reference - reference.mean(axis=0), output - output.mean(axis=0)
    scale = max(_spread(varying), LEAST_VARYING * spread, least)
    return max(error, _relative(found - varying, step, scale))


def _relative(difference: np.ndarray, step: float, scale: float) -> float:
    remaining = _spread(np.maximum(np.abs(difference) - step, 0.0))
    return remaining / scale if scale > 0 else remaining


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
