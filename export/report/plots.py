"""The pictures of a report, as SVG that takes its colours and its letters from the page that it stands in."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_se.export.errors import require
from keras_se.export.formats import FORMATS

# Matplotlib is given colours that nothing else has, in whose place the page's own come: they differ in the dark.
COLOURS = {
    "ink": "#010203",
    "muted": "#010204",
    "line": "#010205",
    "keras": "#010206",
    "file": "#010207",
}
# Inches, and points for letters: an SVG has 72 to the inch, and the page scales it.
SCATTER, HISTOGRAM, LETTERS = (5.6, 3.5), (3.3, 1.55), 9
BINS = 32
# Half the width of a letter and its height, in points, as labels are kept apart by.
LETTER = (5.0, 11.0)
# The least factor between the ends of a logarithmic axis: there is a tick at 1, 2 or 5 in it.
LEAST_FACTOR = 4.0


@dataclass(frozen=True)
class Point:
    """A file in a plot: where, between which values of y, of which format, and its mode."""

    x: float
    y: float
    low: float
    high: float
    format: str
    label: str


def scatter(points: Sequence[Point], x_label: str, y_label: str, key: str, *, logarithmic: bool) -> str:
    """Files by size and something else, each with its mode beside it.

    Args:
        points: The files; x above 0, and y too if it is logarithmic.
        x_label, y_label: What the axes are, with their units.
        key: A name that no other picture of the page has.
        logarithmic: Whether y is; x always is.
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
    """Gates as Keras computes them, filled, and as a file does, as a line.

    Args:
        expected: Values of any shape.
        found: The file's, or `None`.
        key: A name that no other picture of the page has.
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
    axes.set_ylim(bottom=0.012 * axes.get_ylim()[1])  # a line at nothing is not drawn
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return _svg(figure, key)


def _colours() -> dict[str, str]:
    """The colours of a page by name, those of formats among them."""
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
    """The ends of a logarithmic axis."""
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
    """Writes each label where it covers no other and no point: to the right if there is room."""
    figure.draw_without_rendering()  # from here on it is known where on the paper a point is
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
    """The figure as an element for a page, the same each time."""
    matplotlib = require("matplotlib", "report")
    text = io.StringIO()
    # Letters stay letters, of the page's own font.
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
    # Names must be unique in the page, and most are of no use.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{key}-{match[1]}"' if match[1] in used else "", svg)
    return re.sub(r'(href="|url\()#', rf"\g<1>#{key}-", svg)
