"""Renders the content of a report as a page."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from keras_se._text import printable
from keras_se.export.errors import require
from keras_se.export.inspect.tables import sizes

TEMPLATE = Path(__file__).parent / "report.html.j2"


def page(content: Mapping[str, Any]) -> str:
    """The page. Everything in `content` is escaped except the plots, which are SVG from `plots`."""
    jinja2 = require("jinja2", "report")
    layout = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown, **layout)
    environment.filters |= FILTERS
    text: str = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(content)
    return text


def _shown(value: Any) -> Any:
    """Text, which can come from a stranger's file, in one line and without control characters; markup as it is."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return printable(" ".join(value.split()))
    return value


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def _points(difference: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{difference * 100:+.2f}".replace("-", "−")  # noqa: RUF001


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f}" if seconds < 0.1 else f"{seconds * 1e3:,.0f}"


FILTERS = {
    "bytes": decimal,
    "count": lambda value: f"{value:,}",
    "millions": lambda value: f"{value / 1e6:,.{2 if value >= 1e5 else 4}f}",
    "percent": _percent,
    "points": _points,
    "power": lambda value: f"{value:.1e}",
    "milliseconds": _milliseconds,
    "shape": partial(sizes, times=" × "),  # noqa: RUF001
}
