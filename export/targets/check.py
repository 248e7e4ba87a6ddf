"""Checks a file against a target: a verdict, with a reason for each problem."""

from collections.abc import Callable, Iterator, Sequence

from keras_se._text import counted
from keras_se._validation import one_of
from keras_se.export.inspect.inspection import STANDARD, Inspection, Operation
from keras_se.export.targets import vela
from keras_se.export.targets.reasons import Reason, Verdict
from keras_se.export.targets.rules import TARGETS, VELA_RULES, Limit, Operators

# Operations at the inputs and outputs of a quantized file that cost little outside LiteRT's delegate.
LIGHT = ("QUANTIZE", "DEQUANTIZE", "SOFTMAX")


def verdict(inspection: Inspection, target: str) -> Verdict:
    """Checks an inspected file against a target.

    Example:

    >>> from keras_se.export.inspect import inspect
    >>> from keras_se.export.targets import verdict
    >>> verdict(inspect("se_resnet18_int8.tflite"), "microcontroller").passed  # doctest: +SKIP
    True

    Args:
        inspection: The result of `inspect`.
        target: `"phone-cpu"`, `"phone-gpu"`, `"microcontroller"`, `"ethos-u"` or `"onnxruntime-mobile"`.

    Returns:
        A `Verdict`.

    Raises:
        ValueError: for an unknown target.
    """
    row = TARGETS[one_of("target", target, TARGETS)]
    if inspection.format != row.format:
        problem = f"{target} requires a file in the format {row.format}; this file is {inspection.format}."
        return Verdict(target, (Reason(problem, "", f"Export it with to_{row.format}.", row.rows[0].source),))
    return Verdict(target, tuple(reasons(inspection, row.rows)))


def verdicts(inspection: Inspection, targets: Sequence[str] = ()) -> list[Verdict]:
    """The verdicts of several targets; by default, of all targets for this format."""
    default = [name for name, row in TARGETS.items() if row.format == inspection.format]
    return [verdict(inspection, name) for name in targets or default]


def reasons(inspection: Inspection, rows: Sequence[Operators | Limit]) -> Iterator[Reason]:
    """The reasons why a file breaks rules."""
    for row in rows:
        yield from _missing(inspection, row) if isinstance(row, Operators) else LIMITS[row.kind](inspection, row.source)


def _missing(inspection: Inspection, row: Operators) -> Iterator[Reason]:
    for one in inspection.operations:
        if one.domain != STANDARD or one.kind not in row.kinds:
            noun = f"{one.domain} operation" if one.domain != STANDARD else "operation"
            yield Reason(f"The target does not support the {noun} {one.kind}.", one.name, row.action, row.source)
            continue
        types = row.narrower.get(one.kind, row.types)
        wrong = dict.fromkeys(t.dtype for t in (*one.inputs, *one.outputs) if t.dtype not in types)
        if wrong:
            problem = f"{one.kind} does not support {', '.join(wrong)}."
            yield Reason(problem, one.name, _retype(wrong, row), row.source)


def _retype(wrong: dict[str, None], row: Operators) -> str:
    if "float16" in wrong:
        return "Export without quantize='float16'."
    if "uint8" in wrong:
        return "Export with io_dtype='int8'."
    return "Export with quantize='int8'." if "int16" in wrong else row.action


def _static(inspection: Inspection, source: str) -> Iterator[Reason]:
    action = "Export with batch_size=1 and an input_shape without unknown sizes."
    if inspection.dynamic:
        count = len(inspection.dynamic)
        problem = f"{counted(count, 'tensor')} {'has a dynamic shape' if count == 1 else 'have dynamic shapes'}."
        yield Reason(problem, inspection.dynamic[0], action, source)


def _batch_of_one(inspection: Inspection, source: str) -> Iterator[Reason]:
    for tensor in inspection.inputs:
        if tensor.shape and tensor.shape[0] not in (None, 1):
            yield Reason(f"The batch size is {tensor.shape[0]}.", tensor.name, "Export with batch_size=1.", source)


def _four_axes(inspection: Inspection, source: str) -> Iterator[Reason]:
    for one in inspection.operations:
        rank = max((len(tensor.shape or ()) for tensor in (*one.inputs, *one.outputs)), default=0)
        if rank > 4:
            action = "Replace its layer with one whose tensors have at most 4 axes."
            yield Reason(f"{one.kind} has a tensor with {rank} axes.", one.name, action, source)


def _not_dynamic(inspection: Inspection, source: str) -> Iterator[Reason]:
    for one in inspection.operations:
        if one.arithmetic == "dynamic":
            problem = f"{one.kind} has 8-bit weights and float inputs."
            yield Reason(problem, one.name, "Export with quantize='int8'.", source)


def _runs(inspection: Inspection, source: str) -> Iterator[Reason]:
    for one in inspection.custom:
        action = "Replace its layer with one that converts to built-in operations."
        yield Reason(f"LiteRT does not support the {one.domain} operation {one.kind}.", one.name, action, source)
    if inspection.problem and not inspection.custom:
        yield Reason(f"LiteRT does not load the file: {inspection.problem}", "", "Export it with to_tflite.", source)


def _delegated(inspection: Inspection, source: str) -> Iterator[Reason]:
    for one in inspection.outside:
        if one.kind not in LIGHT and (one.macs != 0 or _between_maps(one)):
            yield Reason(f"{one.kind} runs outside the delegate, in a slower kernel.", one.name, _faster(one), source)


def _between_maps(one: Operation) -> bool:
    """Whether an operation computes on feature maps, not on their sizes."""
    return any(not tensor.constant and len(tensor.shape or (0,) * 4) > 2 for tensor in one.inputs)


def _faster(one: Operation) -> str:
    dtypes = {tensor.dtype for tensor in one.outputs}
    return "Export with quantize='int8'." if "int16" in dtypes else "Replace its layer."


def _on_the_npu(inspection: Inspection, source: str) -> Iterator[Reason]:
    if vela.installed():
        yield from vela.left_on_the_cpu(inspection)
    else:
        yield from reasons(inspection, VELA_RULES)


LIMITS: dict[str, Callable[[Inspection, str], Iterator[Reason]]] = {
    "static shapes": _static,
    "batch of one": _batch_of_one,
    "four axes": _four_axes,
    "no dynamic quantization": _not_dynamic,
    "runs in LiteRT": _runs,
    "in the delegate": _delegated,
    "all on the NPU": _on_the_npu,
}
