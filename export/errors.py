"""The error of a failed export."""

from keras_se._optional import require

__all__ = ["ExportError", "require"]


class ExportError(RuntimeError):
    """The conversion failed, or the file does not compute what the Keras model computes.

    Invalid arguments are a `ValueError`, `FileExistsError` or similar instead, raised before any work is done.
    """
