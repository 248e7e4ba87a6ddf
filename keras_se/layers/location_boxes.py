"""Turns the distances that a detector predicts at each location into boxes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se._validation import positive_integer


@keras.saving.register_keras_serializable(package="keras_se")
class LocationBoxes(keras.layers.Layer):
    """Turns the distances from locations to the sides of their boxes into boxes, as shares of the image.

        box = ((x − left) / w, (y − top) / h, (x + right) / w, (y + bottom) / h), clipped to 0 … 1

    for the location (x, y) = (column + 1/2, row + 1/2) of a map of w columns and h rows. Distances are in locations of
    that map, so the image's size need not be a multiple of the map's.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import LocationBoxes
    >>> print(np.array(LocationBoxes([(1, 2)])(np.array([[[0.5, 0.25, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0]]]))))
    [[[0.   0.25 0.5  1.  ]
      [0.25 0.5  1.   0.5 ]]]

    Args:
        maps: (height, width) of each map, positive integers.
        **kwargs: `name`, `dtype`, `trainable` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (batch, locations, 4): the distances left, top, right and bottom, of the locations of all maps, row by row.

    Output shape:
        The input shape: the left, top, right and bottom edge.

    Raises:
        ValueError: for invalid sizes of maps, or an input of another shape.
    """

    def __init__(self, maps: Sequence[Sequence[int]], **kwargs: Any):
        super().__init__(**kwargs)
        self.maps = sizes_of(maps)
        middles, units = zip(*map(_grid, self.maps), strict=True)
        self._middles, self._units = (np.concatenate(parts).astype("float32") for parts in (middles, units))

    def build(self, input_shape: tuple) -> None:
        if tuple(input_shape[1:]) != self._units.shape:
            raise ValueError(
                f"{type(self).__name__} requires inputs of shape (batch, {len(self._units)}, 4), a row per "
                f"location. Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        middles, units = (ops.cast(array, self.compute_dtype) for array in (self._middles, self._units))
        return ops.clip(middles + inputs * units, 0.0, 1.0)  # (batch, locations, 4)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "maps": [list(size) for size in self.maps]}


def sizes_of(maps: Any) -> tuple[tuple[int, int], ...]:
    """Returns `maps` as (height, width) pairs, or raises a `ValueError`."""
    if isinstance(maps, list | tuple) and maps and all(isinstance(m, list | tuple) and len(m) == 2 for m in maps):
        return tuple((positive_integer("a map's height", h), positive_integer("a map's width", w)) for h, w in maps)
    raise ValueError(f"maps must be a list of (height, width) pairs. Received: maps={maps!r}")


def centres(height: int, width: int) -> np.ndarray:
    """The centre of each location of a map, (x, y) in locations, row by row: (height · width, 2)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5


def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Each location's centre, twice, and the step of each distance, as shares of the image: (locations, 4) both."""
    shares = 1 / np.array([size[1], size[0]])
    middles = centres(*size) * shares
    return np.tile(middles, 2), np.broadcast_to(np.concatenate([-shares, shares]), (len(middles), 4))
