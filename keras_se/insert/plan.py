"""The plan of an insertion: where SE goes, and the parameters and multiply-accumulates that it adds."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from keras_se.graph.walk import Shape


@dataclass(frozen=True)
class Insertion:
    """An SE layer that is to be inserted.

    Attributes:
        layer: The path of the layer that it goes behind.
        name: The name of the SE layer.
        channels: The number of channels that it scales.
        shape: The shape of the map, without the batch.
        parameters: The parameters that it adds.
        macs: The multiply-accumulates that it adds for one sample; `None` where sizes are unknown.
    """

    layer: str
    name: str
    channels: int
    shape: Shape
    parameters: int
    macs: int | None


@dataclass(frozen=True)
class InsertionPlan:
    """The result of `insertion_plan`.

    Attributes:
        model: The model's name.
        rows: An `Insertion` for each place, in the order of the graph.
    """

    model: str
    rows: tuple[Insertion, ...]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int | None:
        """`None` where sizes are unknown."""
        macs = [row.macs for row in self.rows]
        return None if None in macs else sum(filter(None, macs))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "macs": self.macs,
            "rows": [asdict(row) | {"shape": list(row.shape)} for row in self.rows],
        }

    def table(self) -> Table:
        """For a terminal."""
        table = Table(title=f"SE for {self.model}", box=SIMPLE_HEAD, show_footer=True)
        footers = (f"{len(self.rows)} in all", "", "", f"{self.parameters:,}", _millions(self.macs))
        headers = ("after layer", "channels", "map", "parameters", "MMACs")
        for header, footer in zip(headers, footers, strict=True):
            left = header in ("after layer", "map")
            table.add_column(header, footer, justify="left" if left else "right", overflow="fold")
        for row in self.rows:
            shape = "x".join("?" if size is None else str(size) for size in row.shape)
            table.add_row(row.layer, str(row.channels), shape, f"{row.parameters:,}", _millions(row.macs))
        return table


def _millions(macs: int | None) -> str:
    return "?" if macs is None else f"{macs / 1e6:,.3f}"
