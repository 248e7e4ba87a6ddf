"""Feature maps of several sizes, for detection and segmentation."""

import math
import re
from collections.abc import Sequence

import keras

from keras_se.graph.walk import Shape, calls
from keras_se.models._shared.blocks import channel_axis

# A block's layers begin with its name, and its last one is the map that it returns. In a stem every layer counts.
BLOCK = re.compile(r"stem_\w+(?<!_pad)$|stage\d+(_block\d+)?(?=_)|final(?=_)")
# Large, so that what convolutions without padding take off the border does not show in a stride.
PROBE_SIZE = 1024


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
    ends = levels(model)
    if not isinstance(strides, Sequence) or not strides or any(stride not in ends for stride in strides):
        raise ValueError(
            f"strides must be some of {sorted(ends)}, which {model.name!r} has. Received: strides={strides}"
        )
    outputs = [model.get_layer(ends[stride]).output for stride in strides]
    # Of the same structure: Keras warns of an array where a list of one was declared.
    pyramid = keras.Model(model.input, outputs, name=name or f"{model.name}_pyramid")
    return prepared_like(model, pyramid)


def prepared_like(model: keras.Model, other: keras.Model) -> keras.Model:
    """The other one, which takes the same images: it gets the `preprocessing` that published weights came with."""
    if (preprocessing := getattr(model, "preprocessing", None)) is not None:
        other.preprocessing = preprocessing
    return other


def levels(model: keras.Model) -> dict[int, str]:
    """The name of the last layer of each stride that a network has, or a `ValueError`."""
    axis = 2 if channel_axis() == 1 else 1
    # Strides are the same for every size, but seen at a large one: maps of a few pixels are rounded too much.
    probes = [_resized(x.shape, axis) for x in getattr(model, "inputs", None) or []]
    ends: dict[str, tuple[int, str]] = {}
    size = None
    for call in calls(model, probes):
        if block := BLOCK.match(call.path):
            size = size or call.inputs[0][axis]  # what the first layer of the network itself gets
            ends.pop(block.group(), None)  # so that blocks are in the order of their last layers
            ends[block.group()] = (2 ** round(math.log2(size / call.outputs[0][axis])), call.layer.name)
    if not ends:
        raise ValueError(f"model must be one that a builder of keras_se.models returned. Received: {model.name!r}")
    return dict(ends.values())


def _resized(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], PROBE_SIZE, PROBE_SIZE, *shape[axis + 2 :]) if len(shape) == 4 else shape
