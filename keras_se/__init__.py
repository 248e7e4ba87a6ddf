"""Squeeze-and-excitation for Keras: the layers, the networks, and their way onto devices."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_se.version import __version__

if TYPE_CHECKING or Path((sys.argv or [""])[0]).stem not in ("keras-se", "keras-se-script"):
    # Not lazy: importing the layers registers them with Keras, so that `.keras` files that hold them load.
    from keras_se import excitation
    from keras_se.complexity import complexity
    from keras_se.insert import insert_se, insertion_plan
    from keras_se.layers import ConcurrentSqueezeExcite, SpatialSqueezeExcite, SqueezeExcite
    from keras_se.prune import remove_se

__all__ = [
    "ConcurrentSqueezeExcite",
    "SpatialSqueezeExcite",
    "SqueezeExcite",
    "__version__",
    "complexity",
    "excitation",
    "insert_se",
    "insertion_plan",
    "remove_se",
]
# Where what is no layer is.
MODULES = {"complexity": "complexity", "insert_se": "insert", "insertion_plan": "insert", "remove_se": "prune"}


def __getattr__(name: str) -> Any:
    # Reached in the `keras-se` command alone, which imports Keras later, when it has hidden TensorFlow's log: so
    # `keras-se --help` is there at once, and quiet.
    if name == "excitation":
        return importlib.import_module("keras_se.excitation")
    if name in __all__:
        module = importlib.import_module(f"keras_se.{MODULES.get(name, 'layers')}")
        # Kept here: importing keras_se/complexity.py leaves the module under the function's name.
        globals()[name] = getattr(module, name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
