"""The MODEL argument of commands: its options, and how the model is built or read."""

import difflib
import os
import warnings
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from keras_se.catalog import NETWORKS
from keras_se.cli.console import Output

if TYPE_CHECKING:
    import keras


BUILDERS = tuple(network.builder for network in NETWORKS)
SEEDS = click.IntRange(0, 2**32 - 1)  # NumPy's
# The parameters of commands that take a MODEL, which `load` reads.
MODEL_OPTIONS = ("r", "classes", "input_shape", "weights", "seed")


def model_options(command: Any) -> Any:
    """The options of commands that take a MODEL."""
    ratio = click.option("-r", "r", metavar="INT|none", help="Reduction ratio for a builder, or none for no SE.")
    return ratio(plain_model_options(command))


def plain_model_options(command: Any) -> Any:
    """The options of commands that build networks without SE."""
    options = (
        click.option("--classes", type=int, help="Number of classes, for a builder."),
        click.option(
            "--input-shape", metavar="H,W,C", help="Input shape for a builder, or for a model of unknown sizes."
        ),
        click.option("--weights", help="Weights for a builder: a file, a folder, an hf:// address, or imagenet."),
        click.option("--seed", type=SEEDS, default=0, show_default=True, help="Seed of random weights."),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


# `run` reads it before anything else, so that errors in the command line are also printed as JSON.
json_option = click.option("--json", is_flag=True, expose_value=False, help="Print one JSON document and nothing else.")


def load(output: Output, name: str, options: dict[str, Any]) -> "tuple[keras.Model, tuple[int, ...] | None]":
    """Returns MODEL, and the requested input shape unless MODEL was built with it. Notes a new classifier."""
    from keras_se.weights import NewClassifierWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NewClassifierWarning)
        loaded = _load(name, options)
    for warning in caught:
        if issubclass(warning.category, NewClassifierWarning):
            output.notes.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return loaded


def load_plain(output: Output, name: str, options: dict[str, Any]) -> "keras.Model":
    """Loads MODEL; a builder's network has no SE."""
    return load(output, name, options | {"r": "none" if name in BUILDERS else None})[0]


def _load(name: str, options: dict[str, Any]) -> "tuple[keras.Model, tuple[int, ...] | None]":
    import keras

    import keras_se.models

    shape = _shape(options["input_shape"])
    keras.utils.set_random_seed(options["seed"])
    if name in BUILDERS:
        arguments = {key: options[key] for key in ("classes", "weights") if options[key] is not None}
        if options["r"] is not None:
            arguments["r"] = None if options["r"] == "none" else _integer("-r", options["r"])
        return getattr(keras_se.models, name)(input_shape=shape, **arguments), None
    if name.startswith("hf://") or os.path.isdir(name):
        return _published(name, options, shape), None
    if not name.endswith(".keras") and not os.path.exists(name):
        lowered = {builder.lower(): builder for builder in BUILDERS}
        near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
        hint = f" The nearest are {', '.join(near)}." if near else ""
        raise ValueError(f"MODEL must be a .keras file or the name of a builder. Received: {name!r}.{hint}")
    _refuse(options, ("r", "classes", "weights"), name)
    return _read_keras_file(name), shape


def _published(address: str, options: dict[str, Any], shape: tuple[int, ...] | None) -> "keras.Model":
    from keras_se import weights

    _refuse(options, ("r", "weights"), address)
    chosen = {"classes": options["classes"], "input_shape": shape}
    return weights.load(address, **{key: value for key, value in chosen.items() if value is not None})


def _refuse(options: dict[str, Any], keys: Sequence[str], name: str) -> None:
    """Refuses options of builders for other models."""
    given = ["-r" if key == "r" else f"--{key}" for key in keys if options[key] is not None]
    if given:
        raise ValueError(f"{', '.join(given)} requires the name of a builder as MODEL. Received: MODEL={name!r}")


def _read_keras_file(path: str) -> "keras.Model":
    import keras

    if not os.path.isfile(path):
        raise ValueError(f"MODEL must be a file that exists. Received: {path!r}")
    if not path.endswith(".keras") or not zipfile.is_zipfile(path):
        raise ValueError(f"MODEL must be a .keras file that Model.save wrote. Received: {path!r}")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file raises errors of any class
        # Keras names the cause last, after the configuration in which it occurred.
        reason = str(error).split("Exception encountered: ")[-1].split(". ")[0].strip()[:200] or type(error).__name__
        raise ValueError(f"MODEL must be a .keras file that Keras can load. Received: {path!r} ({reason})") from error


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    return tuple(_integer("--input-shape", size) for size in text.replace("x", ",").split(","))


def _integer(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{option} must consist of whole numbers. Received: {text!r}") from None
