"""The output of a benchmark: a table on the terminal, a document and a plot in benchmarks/results/."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from keras_se.export.benchmark.machine import machine, versions

FOLDER = Path(__file__).parents[1] / "results"
# Sizes of a plot in inches: its width, the height of a row, and the space around the rows.
WIDTH, ROW, AROUND = 8.0, 0.28, 1.3


class Results:
    """Rows of figures. Each row rewrites the document, so that an interrupted run keeps its rows.

    Args:
        name: Name of the files. Partial runs of a script should have another name.
        title: Title of the table and the plot.
        columns: From header to the function that makes its cell from a row.
        facts: More entries of the document.
    """

    def __init__(self, name: str, title: str, columns: Mapping[str, Callable[[Any], str]], **facts: Any):
        self.name, self.title, self.columns = name, title, columns
        self.rows: list[dict[str, Any]] = []
        # With more load than cores, figures are useless.
        load = round(os.getloadavg()[0], 1)
        self.facts = {"machine": machine(), "load at the start": load, "versions": versions(), **facts}

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        FOLDER.mkdir(exist_ok=True)
        document = {"title": self.title, **self.facts, "rows": self.rows}
        (FOLDER / f"{self.name}.json").write_text(json.dumps(document, indent=2) + "\n")
        print(" · ".join(cell(row) for cell in self.columns.values()), file=sys.stderr, flush=True)

    def show(self) -> None:
        table = Table(title=self.title)
        for i, header in enumerate(self.columns):
            table.add_column(header, justify="right" if i > 1 else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(cell(row) for cell in self.columns.values()))
        console = Console(width=140)
        console.print(table)
        console.print(f"{self.facts['machine']}; load at the start {self.facts['load at the start']}")

    def plot_ratios(self, label: Callable[[Any], str], x_label: str, reference: float = 1.0) -> None:
        """Plots each ratio with its middle half, beside a line where both sides are equal."""
        rows = [row for row in self.rows if row.get("ratio")]
        if not rows:
            return
        figure = Figure(figsize=(WIDTH, AROUND + ROW * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(rows))
        axes.hlines(places, [row["low"] for row in rows], [row["high"] for row in rows], colors="#8aa8d0", lw=4)
        axes.plot([row["ratio"] for row in rows], places, "o", color="#1b4f9c")
        axes.axvline(reference, color="#888888", lw=1)
        axes.set_yticks(list(places), [label(row) for row in rows])
        axes.invert_yaxis()
        self._save(figure, axes, x_label)

    def plot_lines(self, group: str, x: str, ys: Sequence[str], x_label: str) -> None:
        """Plots a panel for each of `ys`, with a line for each value of `group`."""
        figure = Figure(figsize=(WIDTH, 3.0 * len(ys)), layout="constrained")
        for axes, y in zip(figure.subplots(len(ys), squeeze=False)[:, 0], ys, strict=True):
            for name in dict.fromkeys(row[group] for row in self.rows):
                points = sorted((row[x], row[y]) for row in self.rows if row[group] == name and row.get(y) is not None)
                if points:
                    axes.plot(*zip(*points, strict=True), "o-", label=name)
            axes.set_ylabel(y)
            axes.legend(fontsize="small")
            axes.grid(alpha=0.3)
        self._save(figure, axes, x_label)

    def _save(self, figure: Figure, axes: Any, x_label: str) -> None:
        axes.set_xlabel(x_label)
        figure.suptitle(self.title, fontsize="medium")
        FOLDER.mkdir(exist_ok=True)
        figure.savefig(FOLDER / f"{self.name}.png", dpi=120)
