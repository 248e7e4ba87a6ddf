"""The fingerprint of a Keras model: a hash of its configuration and its weights."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_se.export.frontend.io_names import default_name

# Entries of a configuration that belong to training, or to one process.
LEFT_OUT = ("compile_config", "shared_object_id")


def source_sha256(model: keras.Model) -> str:
    """The hash of a model; a second build from the same code with the same weights has the same.

    Keras numbers unnamed layers over the whole process; here they are numbered within the model.
    """
    digest = hashlib.sha256(json.dumps(_config(model), sort_keys=True, default=_plain).encode())
    for weight in model.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{values.dtype.name} {values.shape}".encode())
        digest.update(values.reshape(-1).view("uint8").data)  # bfloat16 has no buffer of its own
    return digest.hexdigest()


def _config(model: keras.Model) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = {"class_name": type(model).__name__, "config": model.get_config()}
    except Exception:  # a model with a custom layer that cannot be saved can still be exported
        return [type(layer).__name__ for layer in model.layers]
    names: dict[str, str] = {}
    for name, kind in _named(config):
        if name not in names and (base := default_name(name, kind)):
            names[name] = f"{base}#{sum(known.startswith(f'{base}#') for known in names.values())}"
    return _renamed(config, names)


def _named(config: Any) -> Iterator[tuple[str, str]]:
    """The names of objects in a configuration, with their classes."""
    if isinstance(config, dict):
        kind, details = config.get("class_name"), config.get("config")
        if isinstance(kind, str) and isinstance(details, dict) and isinstance(details.get("name"), str):
            yield details["name"], kind
    if isinstance(config, dict | list | tuple):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _named(value)


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items() if key not in LEFT_OUT}
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _plain(value: Any) -> Any:
    """A value that JSON cannot express, without its address in memory, which differs between runs."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else type(value).__name__
