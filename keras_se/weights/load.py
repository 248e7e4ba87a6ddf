"""Networks with their published weights."""

import difflib
import os
from typing import Any

import keras

from keras_se._text import shown
from keras_se.weights.locate import CONFIG, Source, find
from keras_se.weights.preprocessing import Preprocessing, from_config
from keras_se.weights.resolve import fill
from keras_se.weights.timm import ARCHITECTURES


def load(address: str | os.PathLike, **options: Any) -> keras.Model:
    """The network that a source of weights describes, with these weights.

    Which builder makes it, with which options, is chosen by the architecture that the source's `config.json` names. The
    image's size is the source's, too. `model.preprocessing` is how images are prepared for it.

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
        **options: Of the builder, in place of what the source says: `classes=10`, `include_top=False`,
            `input_shape=(320, 320, 3)`, `classifier_activation=None`, `name="mine"`. With another number of classes the
            classifier is new, and a warning says which tensors were not taken.

    Returns:
        A functional `keras.Model`, with a `preprocessing` attribute, which `model.save` does not keep.

    Raises:
        ValueError: for a source that names no known architecture, or whose tensors do not fit it.
        OSError: if the hub cannot be reached.
        ImportError: without the package that reads the source.
    """
    import keras_se.models

    source = find(address)
    config = _described(source)
    prepared = from_config(config)
    builder, usual = ARCHITECTURES[_architecture(source, config)]
    if "r" in options and "se" in usual and "se" not in options:
        raise ValueError(
            f"The excitation of {config['architecture']} must be given as se, say lambda stage: SqueezeExcite(8, "
            f"divisor=8). Received: r={shown(options['r'])}"
        )
    if "weights" in options:
        raise ValueError(f"weights are those of the address. Received: weights={shown(options['weights'])}")
    settings = {"input_shape": (*prepared.size, 3), "classes": prepared.classes, **usual, **options}
    if keras.config.image_data_format() == "channels_first" and "input_shape" not in options:
        settings["input_shape"] = (3, *prepared.size)
    if settings.get("input_tensor") is not None and "input_shape" not in options:
        settings.pop("input_shape")
    model = getattr(keras_se.models, builder)(**settings)
    fill(model, source, head=settings.get("include_top", True))
    return model


def preprocessing(address: str | os.PathLike) -> Preprocessing:
    """How the publisher of weights prepares images, and what the answers mean.

    Args:
        address: As in `load`.
    """
    return from_config(_described(find(address)))


def _described(source: Source) -> dict[str, Any]:
    if source.config is None:
        raise ValueError(
            f"A {CONFIG} must say what network it is. Received: {source.address!r} without one. Give the file to a "
            "builder instead: SEResNet50(weights=…)"
        )
    return source.config


def _architecture(source: Source, config: dict[str, Any]) -> str:
    name = config.get("architecture")
    if isinstance(name, str) and name in ARCHITECTURES:
        return name
    near = difflib.get_close_matches(shown(name), ARCHITECTURES, n=3, cutoff=0.5)
    hint = f" The nearest are {', '.join(near)}." if near else ""
    raise ValueError(
        "The architecture must be one of those in keras_se.weights.ARCHITECTURES. "
        f"Received: {shown(name)} in {source.address!r}.{hint}"
    )
