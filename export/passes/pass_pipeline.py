"""The table of passes: which exact rewrites a runtime and a mode get before conversion, in which order, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.fold_batch_norm import fold_batch_norm
from keras_se.export.passes.freeze_gates import freeze_gates
from keras_se.export.passes.lower_for_runtime import (
    average_by_convolution,
    relu_before_concatenation,
    spell_out_hard_swish,
    stride_by_convolution,
)
from keras_se.export.passes.remove_identities import remove_identities
from keras_se.export.passes.sink_squeeze import sink_squeeze
from keras_se.graph.copy_layers import CannotCopyError
from keras_se.graph.rewrite import GraphEdits, Pass
from keras_se.graph.walk import has_graph


@dataclass(frozen=True)
class Step:
    """A pass, why it stands at its place, and for which runtime, bits of activations and calibration it runs."""

    edit: Pass
    because: str
    when: Callable[[str, int | None, bool], bool] = lambda runtime, bits, calibrated: True


def _int8_in_litert(runtime: str, bits: int | None, calibrated: bool) -> bool:
    return runtime == "LiteRT" and bits == 8


STEPS = (
    Step(remove_identities, "First: later passes look at the layer right before another one."),
    Step(stride_by_convolution, "Before batch norms are folded: one behind the pooling goes into the convolution."),
    Step(fold_batch_norm, "Before the squeeze is moved: it moves through a convolution, not through a norm."),
    Step(spell_out_hard_swish, "Anywhere: no other pass looks at it.", lambda _, bits, calibrated: bits is not None),
    Step(relu_before_concatenation, "After identities, which would hide the concatenation.", _int8_in_litert),
    Step(average_by_convolution, "After batch norms are folded: one behind an average stays.", _int8_in_litert),
    Step(freeze_gates, "Before the squeeze is moved: constants have none.", lambda _, bits, calibrated: calibrated),
    Step(sink_squeeze, "Last: it reads folded weights, and only blocks whose gates are not constant."),
)


def passes_for(runtime: str, activation_bits: int | None = None, calibrated: bool = False) -> tuple[Step, ...]:
    """The steps for a target, in order: see `optimized` for the arguments."""
    return tuple(step for step in STEPS if step.when(runtime, activation_bits, calibrated))


def optimized(
    model: InferenceModel,
    calibration: Mapping[str, np.ndarray] | None = None,
    *,
    runtime: str = "TensorFlow",
    activation_bits: int | None = None,
) -> tuple[InferenceModel, list[str]]:
    """The model rewritten for a target, with the same inputs and outputs, and notes for the user.

    Every pass is exact, but that with calibration data constant gates become constants. The model is not changed: the
    passes record edits, which are applied in one clone.

    Args:
        model: The model.
        calibration: Calibration data, if the file is quantized with it.
        runtime: The runtime of the file: `"LiteRT"`, `"ONNX Runtime"` or `"TensorFlow"`.
        activation_bits: 8 or 16 for quantized activations, `None` for floats.
    """
    source = model.model
    if not has_graph(source):
        return model, [f"Exported without rewrites, since {type(source).__name__} has a call() of its own."]
    steps = passes_for(runtime, activation_bits, calibration is not None)
    graph = GraphEdits(source, None if calibration is None else list(calibration.values()))
    try:
        result = graph.apply(*(step.edit for step in steps)).result()
    except CannotCopyError as error:
        return model, [f"Exported without rewrites, since {error.layer} cannot be copied: it has no proper get_config."]
    return InferenceModel(result).renamed_like(model), graph.notes
