"""What goes wrong in an export that is no mistake of the caller's."""

import importlib
from types import ModuleType


class ExportError(RuntimeError):
    """The conversion failed, or the file does not compute what the Keras model computes.

    Wrong arguments are `ValueError`, `FileExistsError` and their like instead, raised before any work is done.
    """


def require(module: str, extra: str) -> ModuleType:
    """Imports a module of an optional package, or says which extra of keras-se brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module.split('.')[0]} is needed for this and could not be imported ({error}). "
            f"Install it with: pip install 'keras-se[{extra}]'"
        ) from error
