"""Feature maps of several strides from one network, for detection and segmentation."""

import math
import re
from collections.abc import Sequence

import keras

from keras_se.graph.walk import Shape, calls
from keras_se.models._shared.blocks import channel_axis

# The layers of a block begin with its name; its last layer is its output. In the stem, every layer is a block.
BLOCK = re.compile(r"stem_\w+(?<!_pad)$|stage\d+(_block\d+)?(?=_)|final(?=_)")
# Large, so that the border that unpadded convolutions cut off does not change a stride.
PROBE_SIZE = 1024


def feature_pyramid(
    model: keras.Model, strides: Sequence[int] = (4, 8, 16, 32), name: str | None = None
) -> keras.Model:
    """The same network with a feature map for each stride as outputs. Weights are shared.

    Blocks are found by the names of their layers (`stage3_block4_…`). Each feature map is the output of the last block
    of its stride or, if no block has that stride, of the last such layer of the stem. The coarsest is the map that the
    classifier reads.

    Example:

    >>> from keras_se.models import SEResNet50, feature_pyramid
    >>> pyramid = feature_pyramid(SEResNet50(input_shape=(64, 64, 3)))
    >>> [x.shape for x in pyramid.outputs]
    [(None, 16, 16, 256), (None, 8, 8, 512), (None, 4, 4, 1024), (None, 2, 2, 2048)]

    Args:
        model: A network made by a builder of `keras_se.models`, with or without its classifier.
        strides: The factors by which outputs are smaller than the image, to the nearest power of two.
        name: The new model's name; `<the model's>_pyramid` by default.

    Returns:
        A functional `keras.Model` with a list of outputs, in the order of `strides`.

    Raises:
        ValueError: if the model has no feature map of one of the strides, or was not made by a builder.
    """
    names = levels(model)
    if not isinstance(strides, Sequence) or not strides or any(stride not in names for stride in strides):
        raise ValueError(f"strides must be among those of {model.name!r}: {sorted(names)}. Received: strides={strides}")
    outputs = [model.get_layer(names[stride]).output for stride in strides]
    # The input keeps its structure: Keras warns of an array where a list of one was declared.
    pyramid = keras.Model(model.input, outputs, name=name or f"{model.name}_pyramid")
    return prepared_like(model, pyramid)


def prepared_like(model: keras.Model, other: keras.Model) -> keras.Model:
    """Returns `other`, which takes the same images, with the `preprocessing` of the weights of `model`."""
    if (preprocessing := getattr(model, "preprocessing", None)) is not None:
        other.preprocessing = preprocessing
    return other


def levels(model: keras.Model) -> dict[int, str]:
    """The last layer of each stride: {4: "stage1_block3_relu", …}. Raises a `ValueError` for models of other makers."""
    axis = 2 if channel_axis() == 1 else 1
    # Strides do not depend on the image size, but are measured at a large one: small maps are rounded too much.
    probes = [_resized(x.shape, axis) for x in getattr(model, "inputs", None) or []]
    last: dict[str, tuple[int, str]] = {}  # by block: its stride, and its last layer
    size = None
    for call in calls(model, probes):
        if block := BLOCK.match(call.path):
            size = size or call.inputs[0][axis]  # the size at the network's first layer
            last.pop(block.group(), None)  # keeps blocks in the order of their last layers
            last[block.group()] = (2 ** round(math.log2(size / call.outputs[0][axis])), call.layer.name)
    if not last:
        raise ValueError(f"model must be made by a builder of keras_se.models. Received: {model.name!r}")
    return dict(last.values())


def _resized(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], PROBE_SIZE, PROBE_SIZE, *shape[axis + 2 :]) if len(shape) == 4 else shape
