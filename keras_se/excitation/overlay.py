"""Plots gates over the images from which they were computed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_se.excitation.choice import evenly, select_blocks
from keras_se.excitation.drawing import INK, blank_grid
from keras_se.excitation.record import Gates, Recording

# The side of an image in inches, and the number of blocks in a row by default.
PANEL, MOST_COLUMNS = 1.5, 5
HEAT, OPACITY = "inferno", 0.65
# The brightness of red, green and blue.
BRIGHTNESS = np.array([0.299, 0.587, 0.114])


def plot_overlay(
    recorded: Recording, images: Any, *, blocks: Sequence[str] | None = None, labels: Sequence[Any] | None = None
) -> Any:
    """Plots a row for each image, with a heat map for each block over it: bright where the block lets most through.

    For spatial gates, the heat map is the gates themselves, over the range that they can have. For channel gates, it is
    the mean over channels of the block's input, weighted with the gates: `Σ s_c · |x_c| / Σ s_c` at each position, over
    the range of these values.

    Example:

    >>> import numpy as np
    >>> from keras_se import excitation
    >>> from keras_se.models import SEResNet
    >>> model = SEResNet((1, 1), block="basic", filters=(8, 16), r=4, input_shape=(32, 32, 3), classes=2)
    >>> images = np.random.default_rng(0).random((3, 32, 32, 3))
    >>> figure = excitation.plot_overlay(excitation.record(model, images, maps=True), images)
    >>> len(figure.axes)  # three rows of an image and two blocks
    9

    Args:
        recorded: The result of `record` with `maps=True` for these images.
        images: The images to show, (samples, height, width, 1 or 3), of any range: they are scaled.
        blocks: The labels of the blocks to draw; by default five blocks from first to last.
        labels: A text beside each row.

    Returns:
        A `matplotlib.figure.Figure`, which is not shown.

    Raises:
        ValueError: for images or blocks that do not fit the recording, or gates of other data than images.
        ImportError: if matplotlib is missing.
    """
    pictures = _pictures(images, recorded.samples)
    found = {gates.label: gates for gates in recorded.blocks if gates.maps is not None and gates.maps.ndim == 4}
    described = "blocks that were recorded with maps=True and take feature maps of images"
    drawn = select_blocks(found, blocks, evenly(list(found), MOST_COLUMNS), described)
    if labels is not None and len(labels) != len(pictures):
        raise ValueError(f"labels must be a list of {len(pictures)} labels, one per image. Received: {len(labels)}")
    figure, rows = blank_grid(len(pictures), 1 + len(drawn), PANEL)
    height, width = pictures.shape[1:3]
    over = {"cmap": HEAT, "alpha": OPACITY, "extent": (-0.5, width - 0.5, height - 0.5, -0.5)}
    maps = [(heat_maps(gates), (None, None) if gates.of_channels else gates.bounds or (None, None)) for gates in drawn]
    for i, (row, picture) in enumerate(zip(rows, pictures, strict=True)):
        grey = picture if picture.ndim == 2 else picture @ BRIGHTNESS
        row[0].imshow(picture, cmap="gray", vmin=0, vmax=1)
        if labels is not None:
            row[0].set_ylabel(str(labels[i]), color=INK)
        for axes, (heat, (low, high)) in zip(row[1:], maps, strict=True):
            axes.imshow(grey, cmap="gray", vmin=0, vmax=1)
            axes.imshow(heat[i], vmin=low, vmax=high, interpolation="bilinear", **over)
    for axes, title in zip(rows[0], ("image", *(gates.label for gates in drawn)), strict=True):
        axes.set_title(title.replace("/", "/\n"), fontsize=8, color=INK)
    return figure


def heat_maps(gates: Gates) -> np.ndarray:
    """The heat maps of a block, (samples, height, width)."""
    if not gates.of_channels:
        return gates.values
    weights = gates.values[:, None, None, :]
    return (weights * np.abs(np.asarray(gates.maps))).sum(axis=-1) / np.maximum(weights.sum(axis=-1), 1e-12)


def _pictures(images: Any, samples: int) -> np.ndarray:
    """The images in colour or grey, each scaled to values from 0 to 1."""
    pictures = np.asarray(images, "float64")
    if pictures.ndim != 4 or len(pictures) != samples or pictures.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must be the {samples} recorded images, of shape (samples, height, width, 1 or 3). "
            f"Received: shape {pictures.shape}"
        )
    low, high = (f(pictures, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = (pictures - low) / np.maximum(high - low, 1e-12)
    return scaled[..., 0] if scaled.shape[-1] == 1 else scaled
