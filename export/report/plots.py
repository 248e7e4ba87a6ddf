"""The plots of a report, as SVG that takes its colours and its font from the page around it."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.formats import FORMATS

# Matplotlib draws in placeholder colours, which are replaced by variables of the page: its dark mode has other colours.
COLOURS = {name: f"#01020{n}" for n, name in enumerate(("ink", "muted", "line", "keras", "file"), 3)}
# Figure sizes in inches, and the font size in points (72 to the inch). The page scales the SVG.
SCATTER, HISTOGRAM, LETTERS = (5.6, 3.5), (3.3, 1.55), 9
BINS = 32
# The width and the height of a letter in points, by which labels are kept apart.
LETTER = (5.0, 11.0)
# The least ratio of the limits of a logarithmic axis, so that there is a tick at 1, 2 or 5 between them.
LEAST_FACTOR = 4.0


@dataclass(frozen=True)
class Point:
    """A file in a plot: its place, the range of y, its format, and its mode as the label."""

    x: float
    y: float
    low: float
    high: float
    format: str
    label: str


def scatter(points: Sequence[Point], x_label: str, y_label: str, key: str, *, logarithmic: bool) -> str:
    """A scatter plot of files, with their modes as labels.

    Args:
        points: The files. Values on logarithmic axes must be above 0.
        x_label, y_label: The titles of the axes, with their units.
        key: A name that no other plot of the page has.
        logarithmic: Whether the y axis is logarithmic; the x axis always is.
    """
    figure, axes = _figure(SCATTER)
    axes.set_xscale("log")
    axes.set_xlim(*_factors([point.x for point in points]))
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(*_factors([value for point in points for value in (point.low, point.high)]))
    else:
        lowest, highest = (f(point.y for point in points) for f in (min, max))
        margin = max(0.15 * (highest - lowest), 0.5)
        axes.set_ylim(lowest - margin, highest + margin)
    for axis in (axes.xaxis, axes.yaxis) if logarithmic else (axes.xaxis,):
        _plain_ticks(axis)
    for point in points:
        colour = _colours()[point.format]
        axes.plot([point.x, point.x], [point.low, point.high], color=colour, lw=1.5, alpha=0.6)
        axes.plot(point.x, point.y, FORMATS[point.format].marker, color=colour, ms=7)
    axes.set_xlabel(x_label, color=COLOURS["muted"])
    axes.set_ylabel(y_label, color=COLOURS["muted"])
    _label(figure, axes, points)
    return _svg(figure, key)


def histogram(expected: np.ndarray, found: np.ndarray | None, key: str) -> str:
    """The distribution of gates: filled as Keras computes them, and a line for those of the file, if it has any.

    `key` is a name that no other plot of the page has.
    """
    values = [expected.ravel(), *([] if found is None else [found.ravel()])]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    bounds = (0.0, 1.0) if low >= 0 and high <= 1 else (float(low), float(high))
    edges = np.linspace(*bounds, BINS + 1)
    figure, axes = _figure(HISTOGRAM)
    for part, colour in zip(values, ("keras", "file"), strict=False):
        style = {"fill": True, "alpha": 0.45, "lw": 0} if colour == "keras" else {"lw": 1.6}
        axes.stairs(np.histogram(part, edges)[0] / part.size, edges, color=COLOURS[colour], **style)
    axes.set_xlim(*bounds)
    axes.set_ylim(bottom=0.012 * axes.get_ylim()[1])  # hides the line where the share is 0
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return _svg(figure, key)


def _colours() -> dict[str, str]:
    """The placeholder of each colour of the page, with those of formats."""
    return COLOURS | {name: f"#0103{number:02x}" for number, name in enumerate(FORMATS)}


def _figure(size: tuple[float, float]) -> tuple[Any, Any]:
    # Not pyplot, which keeps figures, and chooses a backend for the whole process.
    figure = require("matplotlib.figure", "report").Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(COLOURS["line"])
    axes.tick_params(which="both", color=COLOURS["line"], labelcolor=COLOURS["muted"], labelsize=LETTERS)
    axes.patch.set_visible(False)
    figure.patch.set_visible(False)
    return figure, axes


def _factors(values: Sequence[float]) -> tuple[float, float]:
    """The limits of a logarithmic axis."""
    low, high = min(values), max(values)
    margin = max(1.35, (LEAST_FACTOR / (high / low)) ** 0.5)
    return low / margin, high * margin


def _plain_ticks(axis: Any) -> None:
    ticker = require("matplotlib.ticker", "report")
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.4g}"))
    axis.set_minor_locator(ticker.NullLocator())
    axis.grid(color=COLOURS["line"], lw=0.6)


def _label(figure: Any, axes: Any, points: Sequence[Point]) -> None:
    """Writes each label where it covers no other label and no point: to the right if there is room."""
    figure.draw_without_rendering()  # sets the places of points on the paper
    places = axes.transData.transform([(point.x, point.y) for point in points]) * 72 / figure.dpi
    right = axes.transAxes.transform((1, 1))[0] * 72 / figure.dpi
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    for point, (x, y) in zip(points, places, strict=True):
        width, height = LETTER[0] * len(point.label), LETTER[1]
        boxes = [
            (x + dx, y + dy - height / 2, x + dx + width, y + dy + height / 2)
            for dx, dy in ((8, 0), (-8 - width, 0), (-width / 2, 12), (-width / 2, -12), (8, 10), (8, -10), (8, 20))
        ]
        free = [box for box in boxes if box[2] < right + 10 and not any(_overlap(box, other) for other in taken)]
        box = (free or boxes)[0]
        taken.append(box)
        offset = (box[0] - x, (box[1] + box[3]) / 2 - y)
        style: dict[str, Any] = {"textcoords": "offset points", "fontsize": LETTERS, "color": COLOURS["ink"]}
        axes.annotate(point.label, (point.x, point.y), offset, va="center", parse_math=False, **style)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _svg(figure: Any, key: str) -> str:
    """The figure as an element for a page; the same figure has the same bytes."""
    matplotlib = require("matplotlib", "report")
    text = io.StringIO()
    # Text stays text, in the font of the page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_se"}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()
    return _for_a_page(svg[svg.index("<svg") :].strip(), key)


def _for_a_page(svg: str, key: str) -> str:
    for part in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->", r'\s+xmlns(:\w+)?="[^"]*"'):
        svg = re.sub(part, "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg) width="[^"]*" height="[^"]*"', r"\1", svg)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)  # the form of matplotlib before 3.11
    svg = re.sub(r"font-family:[^;\"]*;? ?", "", svg).replace("xlink:href", "href")
    for name, colour in _colours().items():
        svg = svg.replace(colour, f"var(--{name})")
    # Ids must be unique in the page, and most are not used.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{key}-{match[1]}"' if match[1] in used else "", svg)
    return re.sub(r'(href="|url\()#', rf"\g<1>#{key}-", svg)
