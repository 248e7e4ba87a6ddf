"""Puts the preprocessing of images into a model, so that its file takes pixels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_se.export.frontend.inference_model import InferenceModel
from keras_se.graph.keras_private import producer
from keras_se.weights import Preprocessing


def preprocessing_of(model: Any, preprocessing: Any) -> Preprocessing | None:
    """The preprocessing that an argument stands for: `True` is the model's own, which `keras_se.weights.load` sets."""
    if preprocessing in (False, None):
        return None
    found = getattr(model, "preprocessing", None) if preprocessing is True else preprocessing
    if not isinstance(found, Preprocessing):
        raise ValueError(
            "preprocessing must be False, a keras_se.weights.Preprocessing, or True for a model with published "
            f"weights. Received: preprocessing={preprocessing!r} for {getattr(model, 'name', model)!r}. A .keras file "
            "does not keep it: keras_se.weights.preprocessing(address) returns it (--prepared-as)."
        )
    return found


def check_pixels(feeds: Mapping[str, np.ndarray], argument: str) -> None:
    """Raises a `ValueError` for data that were prepared already: a file with preprocessing takes pixels."""
    for values in feeds.values():
        # Floats up to 1 were more likely scaled than taken from black images.
        scaled = values.dtype.kind == "f" and values.max() <= 1
        if values.min() < 0 or values.max() > 255 or scaled:
            raise ValueError(
                f"{argument} must be pixels from 0 to 255, as preprocessing is part of the file. "
                f"Received: values from {values.min():.3g} to {values.max():.3g}"
            )


def prepared_model(model: Any, prepared: Preprocessing | None, dtype: str) -> InferenceModel:
    """The model as it is exported: after its preprocessing, if the file contains that; `dtype` is that of pixels."""
    if prepared is None:
        return InferenceModel(model)
    inference = InferenceModel(with_preprocessing(model, prepared, dtype))
    inference.inputs = tuple(replace(tensor, preprocessing=prepared) for tensor in inference.inputs)
    return inference


def with_preprocessing(model: keras.Model, preprocessing: Preprocessing, dtype: str = "uint8") -> keras.Model:
    """The model after its preprocessing: pixels from 0 to 255 in, the same outputs.

    Args:
        model: A model with one input, images of three channels.
        preprocessing: The preprocessing.
        dtype: The type of the pixels: see `Format.pixel_dtype`.

    Raises:
        ValueError: for a model with other inputs.
    """
    _, first = image_shape(model)
    scale, offset = (x.reshape(-1, 1, 1) if first else x for x in preprocessing.scale_and_offset())
    image = keras.Input(model.inputs[0].shape[1:], dtype=dtype, name=model.inputs[0].name)
    names = [output.name for output in InferenceModel(model).outputs]
    kept = {image.name, *names}
    x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=_free("preprocessing", kept))(image)
    network = model
    if (free := _free(model.name, {*kept, producer(x).name})) != model.name:
        network = keras.Model(model.inputs[0], model.outputs, name=free)
    outputs = keras.tree.flatten(network(x))
    # Clients know inputs and outputs by name, so they have the same names as without preprocessing.
    named = [keras.layers.Identity(name=name)(output) for name, output in zip(names, outputs, strict=True)]
    return keras.Model(image, keras.tree.pack_sequence_as(model.output, named), name=model.name)


def image_shape(model: keras.Model) -> tuple[tuple[int | None, int | None], bool]:
    """Height and width of the images that a model takes, and whether their channels are first.

    Raises:
        ValueError: for a model with other inputs.
    """
    first = keras.config.image_data_format() == "channels_first"
    shape = tuple(model.inputs[0].shape[1:]) if len(model.inputs) == 1 else ()
    if len(shape) != 3 or shape[0 if first else -1] != 3:
        raise ValueError(
            "preprocessing requires a model with one input, images of three channels. "
            f"Received: {model.name!r} with inputs {[tuple(x.shape[1:]) for x in model.inputs]}"
        )
    height, width = shape[1:] if first else shape[:2]
    return (height, width), first


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
