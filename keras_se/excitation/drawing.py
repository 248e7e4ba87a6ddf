"""Figures and colours of all plots of gates."""

from typing import Any

from keras_se._optional import require

INK, MUTED, LINE = "#1f2933", "#52606d", "#cbd2d9"
CLOSED, OPEN = "#5e4fa2", "#d9731a"
# From closed to open, with white in between.
CLOSED_TO_OPEN = "PuOr_r"


def grid(rows: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure with axes one below the other. `size` is the size of one, in inches."""
    figure, array = _figure(rows, 1, (size[0], size[1] * rows))
    for axes in array.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(LINE)
        axes.tick_params(color=LINE, labelcolor=MUTED, labelsize=8)
        axes.set_axisbelow(True)
        axes.grid(color=LINE, lw=0.5, alpha=0.6)
    return figure, list(array[:, 0])


def blank_grid(rows: int, columns: int, side: float) -> tuple[Any, Any]:
    """A figure with an array (rows, columns) of axes for images, without ticks or frames."""
    figure, array = _figure(rows, columns, (side * columns, side * rows + 0.2))
    for axes in array.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure, array


def palette(count: int) -> list[Any]:
    """Colours for `count` classes."""
    colours = require("matplotlib", "report").colormaps["tab10" if count <= 10 else "turbo"]
    return [colours(i if count <= 10 else i / (count - 1)) for i in range(count)]


def heading(axes: Any, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, color=INK)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    # Not pyplot: it keeps figures in memory, and selects a backend for the whole process.
    figure = require("matplotlib.figure", "report").Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)
