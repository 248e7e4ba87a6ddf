"""Feature maps of several sizes, for detection and segmentation."""

import math
import re
from collections.abc import Sequence

import keras

from keras_se.graph import calls
from keras_se.models.blocks import channel_axis

# A block's layers begin with its name, and its last one is the map that it returns. In a stem every layer counts.
BLOCK = re.compile(r"stem_\w+(?<!_pad)$|stage\d+(_block\d+)?(?=_)|final(?=_)")
PROBE_SIZE = 256


def feature_pyramid(
    model: keras.Model, strides: Sequence[int] = (4, 8, 16, 32), name: str | None = None
) -> keras.Model:
    """The same network, its weights shared, with a feature map for each stride as outputs.

    Of each stride it is the output of the last block that has it, found by the names of layers (`stage3_block4_…`);
    where there is none, of the stem's last layer. The coarsest is the map that the classifier reads.

    Example:

    >>> from keras_se.models import SEResNet50, feature_pyramid
    >>> pyramid = feature_pyramid(SEResNet50(input_shape=(64, 64, 3)))
    >>> [x.shape for x in pyramid.outputs]
    [(None, 16, 16, 256), (None, 8, 8, 512), (None, 4, 4, 1024), (None, 2, 2, 2048)]

    Args:
        model: What a builder of `keras_se.models` returned, with or without its classifier.
        strides: By how much each output is smaller than the image, to the nearest power of two.
        name: Of the new model; `<the model's>_pyramid` by default.

    Returns:
        A functional `keras.Model` with a list of outputs, in the order of `strides`.

    Raises:
        ValueError: if the model has no map of one of the strides.
    """
    levels = _levels(model)
    if not strides or any(stride not in levels for stride in strides):
        raise ValueError(
            f"strides must be some of {sorted(levels)}, which {model.name!r} has. Received: strides={tuple(strides)}"
        )
    outputs = [model.get_layer(levels[stride]).output for stride in strides]
    return keras.Model(model.inputs, outputs, name=name or f"{model.name}_pyramid")


def _levels(model: keras.Model) -> dict[int, str]:
    """The name of the last layer of each stride."""
    image = model.inputs[0].shape
    axes = (2, 3) if channel_axis() == 1 else (1, 2)
    # Strides are the same for every size, but must be seen at a known one.
    known = tuple(PROBE_SIZE if i in axes and size is None else size for i, size in enumerate(image))
    ends: dict[str, tuple[int, str]] = {}
    for call in calls(model, [known]):
        if block := BLOCK.match(call.path):
            ends.pop(block.group(), None)  # so that blocks are in the order of their last layers
            stride = 2 ** round(math.log2(known[axes[0]] / call.outputs[0][axes[0]]))
            ends[block.group()] = (stride, call.layer.name)
    return dict(ends.values())
