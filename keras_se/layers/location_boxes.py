"""Boxes of the distances that locations of feature maps have to their sides."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_se._validation import positive_integer


@keras.saving.register_keras_serializable(package="keras_se")
class LocationBoxes(keras.layers.Layer):
    """Turns distances from locations into boxes, in shares of the image.

        box = ((x − left) / w, (y − top) / h, (x + right) / w, (y + bottom) / h), limited to 0 and 1

    for the location (x, y) = (column + 1/2, row + 1/2) of a map of w columns and h rows, and distances in locations of
    that map: so a map need not be smaller than the image by a whole number.

    Example:

    >>> import numpy as np
    >>> from keras_se.layers import LocationBoxes
    >>> print(np.array(LocationBoxes([(1, 2)])(np.array([[[0.5, 0.25, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0]]]))))
    [[[0.   0.25 0.5  1.  ]
      [0.25 0.5  1.   0.5 ]]]

    Args:
        maps: Height and width of each map.
        **kwargs: `name`, `dtype`, `trainable` and what else `keras.layers.Layer` takes.

    Input shape:
        (batch, locations, 4): left, top, right and bottom, of all maps' locations, row by row.

    Output shape:
        The same: left, top, right and bottom edge.

    Raises:
        ValueError: for maps that are no sizes, or an input of another shape.
    """

    def __init__(self, maps: Sequence[Sequence[int]], **kwargs: Any):
        super().__init__(**kwargs)
        self.maps = sizes_of(maps)
        places, units = zip(*map(_grid, self.maps), strict=True)
        self._places, self._units = (np.concatenate(parts).astype("float32") for parts in (places, units))

    def build(self, input_shape: tuple) -> None:
        if tuple(input_shape[1:]) != self._units.shape:
            raise ValueError(
                f"{type(self).__name__} takes inputs of the shape (batch, {len(self._units)}, 4), a row for each "
                f"location. Received: input_shape={tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        places, units = (ops.cast(array, self.compute_dtype) for array in (self._places, self._units))
        return ops.clip(places + inputs * units, 0.0, 1.0)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "maps": [list(size) for size in self.maps]}


def sizes_of(maps: Any) -> tuple[tuple[int, int], ...]:
    """Heights and widths, checked."""
    if isinstance(maps, list | tuple) and maps and all(isinstance(m, list | tuple) and len(m) == 2 for m in maps):
        return tuple((positive_integer("a map's height", h), positive_integer("a map's width", w)) for h, w in maps)
    raise ValueError(f"maps must be a list of heights and widths. Received: maps={maps!r}")


def centres(height: int, width: int) -> np.ndarray:
    """Of each location of a map its middle, (x, y) in locations, row by row: (height · width, 2)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5


def _grid(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Of each location its place, twice, and what a distance is to each side, in shares of the image."""
    shares = 1 / np.array([size[1], size[0]])
    places = centres(*size) * shares
    return np.tile(places, 2), np.broadcast_to(np.concatenate([-shares, shares]), (len(places), 4))
