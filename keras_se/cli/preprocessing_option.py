"""The option `--prepared-as`: the preprocessing of a model's images, which a .keras file does not keep."""

import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_se.weights import Preprocessing

# The largest JSON file, in bytes.
LIMIT = 1 << 20


def preprocessing_from(source: str) -> "Preprocessing":
    """The preprocessing at an address or in a folder of published weights, or in a JSON file."""
    from keras_se import weights

    return _read(source) if source.endswith(".json") else weights.preprocessing(source)


def _read(path: str) -> "Preprocessing":
    from keras_se.weights import Preprocessing

    known = [field.name for field in fields(Preprocessing)]
    if not os.path.isfile(path) or os.path.getsize(path) > LIMIT:
        raise ValueError(f"--prepared-as must be a small JSON file that exists. Received: {path!r}")
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"--prepared-as must be a JSON file. Received: {path!r} ({error})") from error
    if not isinstance(content, dict) or not set(content) <= set(known):
        raise ValueError(f"--prepared-as must be a JSON object of {', '.join(known)}. Received: {path!r}")
    return Preprocessing(**content)
