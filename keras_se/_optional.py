"""Imports packages of the extras, at the place where they are used."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Imports a module of an optional package, or raises an `ImportError` that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This requires {module.split('.')[0]}, which could not be imported ({error}). "
            f"Install it with: pip install 'keras-se[{extra}]'"
        ) from error
