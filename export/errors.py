"""What goes wrong in an export that is no mistake of the caller's."""

from keras_se._optional import require

__all__ = ["ExportError", "require"]


class ExportError(RuntimeError):
    """The conversion failed, or the file does not compute what the Keras model computes.

    Wrong arguments are `ValueError`, `FileExistsError` and their like instead, raised before any work is done.
    """
