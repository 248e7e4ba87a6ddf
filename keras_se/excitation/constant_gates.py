"""Finds SE blocks whose gates do not depend on the data."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_se.excitation.taps import Tap
from keras_se.graph.activations import batches
from keras_se.layers import SqueezeExcite


def constant_gates(
    model: keras.Model, columns: Sequence[np.ndarray], tolerance: float
) -> dict[str, tuple[Any, np.ndarray]]:
    """SE blocks whose channel gates hardly depend on the data, by path, each with the middle of its gates' ranges.

    Only blocks that are called once and without a mask are considered: with other masks, the gates could differ.

    Args:
        model: The model.
        columns: Data, an array for each of the model's inputs.
        tolerance: The largest range of a constant gate over all samples.
    """
    tap = Tap(model)
    counts = Counter([call.path for call in tap.calls])
    ranges: dict[int, tuple[Any, Any]] = {
        i: (np.inf, -np.inf)
        for i, call in enumerate(tap.calls)
        if isinstance(call.part, SqueezeExcite) and counts[call.path] == 1 and not call.masked
    }
    for batch in batches(columns) if ranges else ():
        gates = [values for values, _ in tap.gates(batch, maps=False)]
        ranges = {
            i: (np.minimum(low, gates[i].min(0)), np.maximum(high, gates[i].max(0)))
            for i, (low, high) in ranges.items()
        }
        ranges = {i: (low, high) for i, (low, high) in ranges.items() if np.max(high - low) < tolerance}
        if not ranges:
            break
    calls = {i: tap.calls[i] for i in ranges if tap.calls[i].block not in tap.unseen}
    return {call.block: (call.layer, (ranges[i][0] + ranges[i][1]) / 2) for i, call in calls.items()}
