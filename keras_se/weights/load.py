"""Builds networks with their published weights."""

import difflib
import os
from typing import Any

import keras

from keras_se._text import shown
from keras_se.weights.locate import CONFIG, Source, find_source
from keras_se.weights.preprocessing import Preprocessing, from_config
from keras_se.weights.resolve import load_into
from keras_se.weights.timm import ARCHITECTURES


def load(address: str | os.PathLike, **options: Any) -> keras.Model:
    """Builds the network that a source of weights describes, with these weights.

    The architecture in the source's `config.json` selects the builder and its options; the image size also comes from
    there. `model.preprocessing` prepares images for the network.

    Example:

    ```python
    model = keras_se.weights.load("hf://timm/legacy_seresnet50.in1k")
    image = model.preprocessing.load_image("cat.jpg")
    probabilities = model(model.preprocessing.preprocess_input(image[None]))
    print(model.preprocessing.decode_predictions(probabilities))
    ```

    Args:
        address: A folder with `config.json` and `model.safetensors`, or `hf://owner/name[@revision]`, which
            huggingface_hub downloads into its own cache.
        **options: Options of the builder that replace those of the source: `classes=10`, `include_top=False`,
            `input_shape=(320, 320, 3)`, `classifier_activation=None`, `name="mine"`. With another number of classes,
            the classifier gets random weights, and a warning lists the tensors that were left out.

    Returns:
        A functional `keras.Model` with a `preprocessing` attribute, which `model.save` does not keep.

    Raises:
        ValueError: for an unknown architecture, or tensors that do not fit it.
        OSError: if the hub cannot be reached.
        ImportError: if the package that reads the source is missing.
    """
    import keras_se.models

    source = find_source(address)
    config = _config_of(source)
    prepared = from_config(config)
    builder, defaults = ARCHITECTURES[_architecture(source, config)]
    if "r" in options and "se" in defaults and "se" not in options:
        raise ValueError(
            f"{config['architecture']} requires se in place of r, such as se=lambda stage: SqueezeExcite(8, "
            f"divisor=8). Received: r={shown(options['r'])}"
        )
    if "weights" in options:
        raise ValueError(
            f"weights must be left out, since the address names them. Received: weights={shown(options['weights'])}"
        )
    settings = {"input_shape": (*prepared.size, 3), "classes": prepared.classes, **defaults, **options}
    if keras.config.image_data_format() == "channels_first" and "input_shape" not in options:
        settings["input_shape"] = (3, *prepared.size)
    if settings.get("input_tensor") is not None and "input_shape" not in options:
        settings.pop("input_shape")
    model = getattr(keras_se.models, builder)(**settings)
    load_into(model, source, head=settings.get("include_top", True))
    return model


def preprocessing(address: str | os.PathLike) -> Preprocessing:
    """How the publisher of weights prepares images.

    Args:
        address: As in `load`.
    """
    return from_config(_config_of(find_source(address)))


def _config_of(source: Source) -> dict[str, Any]:
    if source.config is None:
        raise ValueError(
            f"A source of weights requires a {CONFIG} that names the architecture. Received: {source.address!r} "
            "without one. Pass the file to a builder instead: SEResNet50(weights=…)"
        )
    return source.config


def _architecture(source: Source, config: dict[str, Any]) -> str:
    name = config.get("architecture")
    if isinstance(name, str) and name in ARCHITECTURES:
        return name
    near = difflib.get_close_matches(shown(name), ARCHITECTURES, n=3, cutoff=0.5)
    hint = f" The nearest are {', '.join(near)}." if near else ""
    raise ValueError(
        "The architecture must be in keras_se.weights.ARCHITECTURES. "
        f"Received: {shown(name)} in {source.address!r}.{hint}"
    )
