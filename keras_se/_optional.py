"""Packages that not everybody needs, imported where they are used."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Imports a module of an optional package, or says which extra of keras-se brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{module.split('.')[0]} is needed for this and could not be imported ({error}). "
            f"Install it with: pip install 'keras-se[{extra}]'"
        ) from error
