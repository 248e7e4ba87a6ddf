"""What is done to an image before the network, put into the file."""

from typing import Any

import keras

from keras_se.export.inference import InferenceModel
from keras_se.weights import Preprocessing


def preprocessing_of(model: Any, preprocessing: Any) -> Preprocessing | None:
    """The preprocessing that an argument means: `True` is the model's own, as `keras_se.weights.load` sets it."""
    if preprocessing in (False, None):
        return None
    own = getattr(model, "preprocessing", None) if preprocessing is True else preprocessing
    if not isinstance(own, Preprocessing):
        raise ValueError(
            "preprocessing must be False, a keras_se.weights.Preprocessing, or True for a model that "
            f"keras_se.weights.load returned. Received: preprocessing={preprocessing!r} for "
            f"{getattr(model, 'name', model)!r}"
        )
    return own


def with_preprocessing(model: keras.Model, preprocessing: Preprocessing, dtype: str = "uint8") -> keras.Model:
    """The model behind its preprocessing: pixels from 0 to 255 in, what it returns out.

    Args:
        model: A model with one input, images of three channels.
        preprocessing: What is done to them.
        dtype: Of the pixels. A quantized file has none but floats in Keras; its own input is `uint8` all the same.

    Raises:
        ValueError: for a model of another input.
    """
    first = keras.config.image_data_format() == "channels_first"
    shape = model.inputs[0].shape[1:] if len(model.inputs) == 1 else ()
    if len(shape) != 3 or shape[0 if first else -1] != 3:
        raise ValueError(
            f"preprocessing goes with a model of one input, images of three channels. Received: {model.name!r} with "
            f"inputs {[tuple(x.shape[1:]) for x in model.inputs]}"
        )
    scale, offset = (x.reshape(-1, 1, 1) if first else x for x in preprocessing.scale_and_offset())
    image = keras.Input(shape, dtype=dtype, name=model.inputs[0].name)
    x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="preprocessing")(image)
    names = [output.name for output in InferenceModel(model).outputs]
    outputs = keras.tree.flatten(model(x))
    # Clients read outputs by name: they keep those that they have without preprocessing.
    named = [keras.layers.Identity(name=name)(output) for name, output in zip(names, outputs, strict=True)]
    return keras.Model(image, keras.tree.pack_sequence_as(model.output, named), name=model.name)
