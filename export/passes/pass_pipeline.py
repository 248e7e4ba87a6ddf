"""The rewrites of the Keras graph before conversion. The model that was passed in is never changed."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.export.passes.fold_batch_norm import fold_batch_norm
from keras_se.export.passes.freeze_gates import freeze_constant_gates
from keras_se.export.passes.lower_for_runtime import FOR_INT8, spell_out_hard_swish, stride_by_convolution
from keras_se.export.passes.remove_identities import drop_identities
from keras_se.export.passes.sink_squeeze import squeeze_before_convolution
from keras_se.graph.rewrite import CannotCopyError, Rewrite
from keras_se.graph.walk import has_graph

# In this order: a batch norm folds, and a squeeze moves, into what stands right before it.
ALWAYS: Sequence[Rewrite] = (drop_identities, stride_by_convolution, fold_batch_norm)


def optimized(
    model: InferenceModel,
    calibration: Mapping[str, np.ndarray] | None = None,
    *,
    runtime: str = "TensorFlow",
    activation_bits: int | None = None,
) -> tuple[InferenceModel, list[str]]:
    """The model rewritten, with the same inputs and outputs, and notes for the user.

    Without calibration data every rewrite is exact. With it (for int8 and int16x8) constant gates become constants.

    Args:
        model: The model.
        calibration: Calibration data, if the file is quantized with it.
        runtime: The file's runtime.
        activation_bits: How many bits its activations have, if they are integers.
    """
    notes: list[str] = []
    source = model.model
    if not has_graph(source):
        return model, [f"Exported without rewrites, since {type(source).__name__} has a call() of its own."]
    try:
        for rewrite in (*ALWAYS, *_for(runtime, activation_bits)):
            source = rewrite(source)
        if calibration is not None:
            source, frozen = freeze_constant_gates(source, list(calibration.values()))
            notes += [f"The gates of {name} are constant over the calibration data." for name in frozen]
        source = squeeze_before_convolution(source)  # after the gates that are constant are none any more
    except CannotCopyError as error:
        return model, [f"Exported without rewrites, since {error.layer} cannot be copied: it has no proper get_config."]
    return InferenceModel(source).renamed_like(model), notes


def _for(runtime: str, activation_bits: int | None) -> Sequence[Rewrite]:
    """What the runtime has no kernels for."""
    if activation_bits == 8 and runtime == "LiteRT":
        return FOR_INT8
    return (spell_out_hard_swish,) if activation_bits else ()
