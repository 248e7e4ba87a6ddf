"""What a Keras model is known by: a hash of its configuration and its weights."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

# What belongs to training, or to one process.
LEFT_OUT = ("compile_config", "shared_object_id")


def source_sha256(model: keras.Model) -> str:
    """The hash of a model, which a second build of the same code with the same weights has, too.

    Keras numbers unnamed layers over the whole process; here they are numbered over the model.
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
    except Exception:  # a layer of somebody's that cannot be saved can still be exported
        return [type(layer).__name__ for layer in model.layers]
    names: dict[str, str] = {}
    for name, kind in _named(config):
        if name not in names and (base := _unnamed(name, kind)):
            names[name] = f"{base}#{sum(known.startswith(f'{base}#') for known in names.values())}"
    return _renamed(config, names)


def _named(config: Any) -> Iterator[tuple[str, str]]:
    """Names in a configuration, with the class of what has them."""
    if isinstance(config, dict):
        own, inner = config.get("class_name"), config.get("config")
        if isinstance(own, str) and isinstance(inner, dict) and isinstance(inner.get("name"), str):
            yield inner["name"], own
    if isinstance(config, dict | list | tuple):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _named(value)


def _unnamed(name: str, kind: str) -> str:
    """What Keras made a name of, if nobody gave it: `conv2d` of `conv2d_3`."""
    base, _, number = name.rpartition("_")
    for candidate in (name, base if number.isdigit() else name):
        if candidate.replace("_", "") == kind.lower():
            return candidate
    return ""


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items() if key not in LEFT_OUT}
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _plain(value: Any) -> Any:
    """What JSON has no form for; nothing of it may tell where in memory it lies."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else type(value).__name__
