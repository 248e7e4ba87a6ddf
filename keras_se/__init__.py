"""Squeeze-and-excitation for Keras: layers, networks, and verified exports to devices."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_se.version import __version__

# Library users get the layers eagerly: importing them registers them with Keras, so that `.keras` files that hold them
# load. The `keras-se` command must print its help in half a second, and Keras takes longer to import. Python imports
# this package before the command's entry point inside it, so only the program's name can tell the two apart.
if TYPE_CHECKING or Path((sys.argv or [""])[0]).stem not in ("keras-se", "keras-se-script"):
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
# The modules of names that are not layers.
MODULES = {"complexity": "complexity", "insert_se": "insert", "insertion_plan": "insert", "remove_se": "prune"}


def __getattr__(name: str) -> Any:
    # Only the `keras-se` command gets here. It imports Keras later, once TensorFlow's log is hidden.
    if name == "excitation":
        return importlib.import_module("keras_se.excitation")
    if name in __all__:
        module = importlib.import_module(f"keras_se.{MODULES.get(name, 'layers')}")
        # Stored, since importing keras_se.complexity has set the package's attribute of this name to the module.
        globals()[name] = getattr(module, name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
