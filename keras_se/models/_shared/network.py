"""Makes the model around a family's layers: the input, the head and the weights, as in `keras.applications`."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import layers

from keras_se._validation import one_of, positive_integer, positive_integers
from keras_se.layers.base import accumulation_dtype
from keras_se.models._shared.blocks import channel_axis

Head = Callable[[Any, int, Any], Any]


def network(
    body: Callable[[Any], tuple[Any, Head]],
    *,
    include_top: bool,
    load_weights: Callable[[keras.Model], None] | None,
    input_tensor: Any,
    input_shape: tuple | None,
    pooling: str | None,
    classes: int,
    classifier_activation: Any,
    name: str,
    size: int,
    min_size: int,
) -> keras.Model:
    """Input → body → head, as one functional model.

    Args:
        body: Image tensor → (feature map, head), where the head is (feature map, classes, activation) → output.
        include_top, input_tensor, input_shape, pooling, classes, classifier_activation, name: As in
            `keras.applications`.
        load_weights: Loads weights into the built network; `None` leaves them random.
        size: Default height and width of the image.
        min_size: The smallest height and width that the network supports.

    Raises:
        ValueError: for an argument out of its range.
    """
    one_of("pooling", pooling, (None, "avg", "max"))
    classes = positive_integer("classes", classes)
    image = _image(input_tensor, input_shape, size if include_top else None, min_size)
    x, head = body(image)
    if include_top:
        x = head(x, classes, classifier_activation)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)
    sources = keras.utils.get_source_inputs(image)
    model = keras.Model(sources[0] if len(sources) == 1 else sources, x, name=name)
    if load_weights is not None:
        load_weights(model)
    return model


def dense_head(x: Any, classes: int, activation: Any, *, dropout: float = 0.0) -> Any:
    """Global average pooling and a dense classifier: (batch, height, width, channels) → (batch, classes)."""
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, activation=activation, dtype=head_dtype(), name="predictions")(x)


def convolutional_head(
    x: Any, classes: int, activation: Any, *, dropout: float, hidden: Callable[[Any], Any] = lambda x: x
) -> Any:
    """The head of the MobileNets in `keras.applications`: its classifier is a 1x1 convolution.

    Args:
        x: Feature map.
        classes, activation: Number of classes, and the classifier's activation.
        dropout: Rate of the dropout before the classifier.
        hidden: The layers between pooling and classifier: (batch, 1, 1, channels) → (batch, 1, 1, width).
    """
    x = hidden(layers.GlobalAveragePooling2D(keepdims=True, name="avg_pool")(x))
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, dtype=head_dtype(), name="logits")(x)
    x = layers.Reshape((classes,), dtype=head_dtype(), name="flatten")(x)  # (batch, 1, 1, classes) → (batch, classes)
    return layers.Activation(activation, dtype=head_dtype(), name="predictions")(x)


def head_dtype() -> str:
    """The dtype of classifiers, at least float32: in mixed precision the softmax would lose digits."""
    return accumulation_dtype(keras.config.dtype_policy().compute_dtype)


def _image(input_tensor: Any, input_shape: tuple | None, size: int | None, min_size: int) -> Any:
    if input_shape is not None and not isinstance(input_shape, tuple | list):
        raise ValueError(f"input_shape must be a tuple or None. Received: input_shape={input_shape!r}")
    if input_tensor is None:
        if input_shape is None:
            input_shape = (3, size, size) if channel_axis() == 1 else (size, size, 3)
        check_image_shape("input_shape", tuple(input_shape), min_size)
        return keras.Input(input_shape, name="image")
    if not isinstance(input_tensor, keras.KerasTensor):
        raise ValueError(
            "input_tensor must be the output of keras.Input or of a layer. "
            f"Received: input_tensor of type {type(input_tensor).__name__}"
        )
    shape = tuple(input_tensor.shape[1:])
    check_image_shape("input_tensor", shape, min_size)
    if input_shape is not None and tuple(input_shape) != shape:
        raise ValueError(
            f"input_shape must be the shape of input_tensor, {shape}, or None. Received: input_shape={input_shape}"
        )
    return input_tensor


def check_image_shape(argument: str, shape: tuple, min_size: int) -> None:
    """Raises a `ValueError` unless `shape` is that of an image of `min_size` pixels or more, or of unknown size."""
    first = channel_axis() == 1
    if len(shape) == 3:
        channels, sizes = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
        if _is_size(channels, 1) and all(size is None or _is_size(size, min_size) for size in sizes):
            return
    order = "(channels, height, width)" if first else "(height, width, channels)"
    raise ValueError(
        f"{argument} must be {order} with at least 1 channel and {min_size}x{min_size} pixels (or None for an unknown "
        f"size). Received: {argument} of shape {shape}"
    )


def _is_size(value: Any, least: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def stage_table(depths: Sequence[int], filters: Sequence[int]) -> list[tuple[int, int, int]]:
    """(stage, depth, filters) of each stage, from 1 on; or a `ValueError`."""
    counts, widths = positive_integers("depths", depths), positive_integers("filters", filters)
    if len(counts) != len(widths):
        raise ValueError(
            f"depths and filters must have a number for every stage. Received: depths={depths}, filters={filters}"
        )
    return [(stage, *row) for stage, row in enumerate(zip(counts, widths, strict=True), start=1)]


def smallest_of(stems: Mapping[str, tuple[Any, int]]) -> Callable[..., int]:
    """A function from a family's options to the smallest image side of its `stem`; stems are (stem, smallest side)."""
    return lambda stem, **options: stems[one_of("stem", stem, stems)][1]
