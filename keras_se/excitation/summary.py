"""Summarizes the gates of each block in a few numbers."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from keras_se.excitation.record import Gates, Recording


@dataclass(frozen=True)
class BlockSummary:
    """The gates of a block in a few numbers.

    Attributes:
        label: The block's path, with the number of the call if it is not the first.
        kind: The class of the layer.
        gates: The number of gates per sample.
        mean: The mean over samples and gates.
        variance: The variance over samples, averaged over gates; 0 if the gates do not depend on the input.
        closed, open: The shares of gates below the lower and above the upper threshold; `None` for gates without
            bounds.
        bounds: The lowest and the highest value that a gate can have, or `None`.
    """

    label: str
    kind: str
    gates: int
    mean: float
    variance: float
    closed: float | None
    open: float | None
    bounds: tuple[float, float] | None

    @property
    def saturated(self) -> float | None:
        """The share of gates that are closed or open."""
        return None if self.closed is None or self.open is None else self.closed + self.open


@dataclass(frozen=True)
class Summary:
    """The result of `summarize`.

    Attributes:
        model: The model's name.
        samples: The number of samples.
        low, high: The thresholds, as shares of the range of the gates.
        blocks: A `BlockSummary` for each block, in the order of the layers.
        left_out: The paths of blocks whose gates were not recorded.
    """

    model: str
    samples: int
    low: float
    high: float
    blocks: tuple[BlockSummary, ...]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        blocks = [
            asdict(block) | {"saturated": block.saturated, "bounds": block.bounds and list(block.bounds)}
            for block in self.blocks
        ]
        return asdict(self) | {"blocks": blocks, "left_out": list(self.left_out)}

    def table(self) -> Table:
        """For a terminal: a row for each block."""
        table = Table(title=f"{self.model}: gates of {self.samples:,} samples", box=SIMPLE_HEAD)
        table.add_column("block", overflow="fold")
        headers = ("gates", "range", "mean", "variance", f"below {self.low:.0%}", f"above {self.high:.0%}")
        for header in headers:
            table.add_column(header, justify="right")
        for block in self.blocks:
            bounds = "-" if block.bounds is None else f"{block.bounds[0]:g} to {block.bounds[1]:g}"
            shares = ["-" if share is None else f"{share:.1%}" for share in (block.closed, block.open)]
            table.add_row(
                block.label, f"{block.gates:,}", bounds, f"{block.mean:.3f}", f"{block.variance:.5f}", *shares
            )
        if self.left_out:
            table.caption = f"Not recorded: {', '.join(self.left_out)}"
        return table


def summarize(recorded: Recording, low: float = 0.05, high: float = 0.95) -> Summary:
    """Summarizes the gates of each block: how open they are, whether they vary, and how many are saturated.

    A gate is saturated where the slope of its activation nearly vanishes: near the ends of the range, which is 0 to 1
    for a sigmoid and 0 to 2 for `twice_sigmoid`. By default, gates of the latter are closed below 0.1 and open above
    1.9.

    Example:

    >>> import numpy as np
    >>> from keras_se import excitation
    >>> gates = excitation.Gates("se", "SqueezeExcite", np.array([[0.0, 0.5], [0.0, 0.7]]), bounds=(0.0, 1.0))
    >>> summary = excitation.summarize(excitation.Recording("net", (gates,), ()))
    >>> [(block.label, round(block.mean, 3), block.closed, block.open) for block in summary.blocks]
    [('se', 0.3, 0.5, 0.0)]

    Args:
        recorded: The result of `record`.
        low, high: The thresholds from 0 to 1, as shares of the range of a block's gates. Gates without a known range,
            such as those of a ReLU, have no share of saturated gates.

    Returns:
        A `Summary`, with `to_dict()` for JSON and `table()` for a terminal.

    Raises:
        ValueError: unless 0 <= low < high <= 1.
    """
    if not 0 <= low < high <= 1:
        raise ValueError(f"low and high must be numbers from 0 to 1, with low < high. Received: low={low}, high={high}")
    blocks = tuple(_summary(gates, low, high) for gates in recorded.blocks)
    return Summary(recorded.model, recorded.samples, low, high, blocks, recorded.left_out)


def _summary(gates: Gates, low: float, high: float) -> BlockSummary:
    values = gates.values.reshape(len(gates.values), -1).astype("float64")
    closed = opened = None
    if gates.bounds is not None:
        lowest, highest = gates.bounds
        closed = float(np.mean(values < lowest + low * (highest - lowest)))
        opened = float(np.mean(values > lowest + high * (highest - lowest)))
    return BlockSummary(
        label=gates.label,
        kind=gates.kind,
        gates=values.shape[1],
        mean=float(values.mean()),
        variance=float(values.var(axis=0).mean()),
        closed=closed,
        open=opened,
        bounds=gates.bounds,
    )
