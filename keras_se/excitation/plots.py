"""Plots gates by class and depth, as in the paper (section 7.2), and the share of saturated gates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_se.excitation.choice import Labels, channel_blocks, members
from keras_se.excitation.drawing import CLOSED, CLOSED_TO_OPEN, INK, MUTED, OPEN, grid, heading, palette
from keras_se.excitation.record import Gates, Recording
from keras_se.excitation.summary import summarize

# The number of classes that a plot shows by default: more lines could not be told apart.
MOST_LINES, MOST_BANDS, MOST_ROWS = 4, 2, 30
# Inches.
WIDTH, HEIGHT, BAR = 8.0, 1.9, 0.26
# The shortest axis of shares, in percent: tiny shares must look tiny.
LEAST_SHARE = 5.0


def plot_means(
    recorded: Recording, labels: Labels, *, classes: Sequence[Any] | None = None, blocks: Sequence[str] | None = None
) -> Any:
    """Plots the mean gate of each channel for a few classes, at several depths, as lines.

    Channels are sorted by their mean over all samples, the black line: above it, a channel is more open for a class
    than for others. `plot_classes` draws many classes.

    Example:

    >>> import numpy as np
    >>> from keras_se import excitation
    >>> from keras_se.models import SEResNet
    >>> model = SEResNet((1, 1), block="basic", filters=(8, 16), r=4, input_shape=(32, 32, 3), classes=2)
    >>> recorded = excitation.record(model, np.random.default_rng(0).random((20, 32, 32, 3)))
    >>> figure = excitation.plot_means(recorded, labels=["cat", "dog"] * 10)
    >>> [axes.get_title("left") for axes in figure.axes]
    ['stage1_block1_se', 'stage2_block1_se']

    Args:
        recorded: The result of `record`.
        labels: The class of each sample, as a number or a name.
        classes: The classes to draw; by default the four with the most samples.
        blocks: The labels of the blocks to draw; by default the last block of each stage, or five from first to last in
            networks whose layers are not named after stages. Spatial gates cannot be drawn.

    Returns:
        A `matplotlib.figure.Figure`. It is not shown: use `figure.savefig(path)` or a notebook.

    Raises:
        ValueError: for labels, classes or blocks that do not fit the recording.
        ImportError: if matplotlib is missing.

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., section 7.2.
    """
    drawn, chosen = channel_blocks(recorded, blocks), members(recorded, labels, classes, MOST_LINES)
    figure, rows = grid(len(drawn), (WIDTH, HEIGHT))
    for axes, gates in zip(rows, drawn, strict=True):
        order = _order(gates)
        for (name, mask), colour in zip(chosen.items(), palette(len(chosen)), strict=True):
            axes.plot(gates.values[mask].mean(axis=0)[order], color=colour, lw=1.3, label=name)
        axes.plot(gates.values.mean(axis=0)[order], color=INK, lw=2.2, label="all")
        _gate_axes(axes, gates)
    _finish(figure, rows)
    return figure


def plot_spread(
    recorded: Recording, labels: Labels, *, classes: Sequence[Any] | None = None, blocks: Sequence[str] | None = None
) -> Any:
    """Plots the gates of two classes at several depths: the mean, and the standard deviation in the class as a band.

    Where the bands do not overlap, the gates of a single image distinguish the classes.

    Args:
        recorded, labels, blocks: As in `plot_means`.
        classes: The classes to draw; by default the two with the most samples.

    Returns:
        A `matplotlib.figure.Figure`, which is not shown.

    Raises:
        ValueError: for labels, classes or blocks that do not fit the recording.
        ImportError: if matplotlib is missing.

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507), Hu et al., section 7.2.
    """
    drawn, chosen = channel_blocks(recorded, blocks), members(recorded, labels, classes, MOST_BANDS)
    figure, rows = grid(len(drawn), (WIDTH, HEIGHT))
    for axes, gates in zip(rows, drawn, strict=True):
        order = _order(gates)
        for (name, mask), colour in zip(chosen.items(), palette(len(chosen)), strict=True):
            mean, deviation = (f(gates.values[mask], axis=0)[order] for f in (np.mean, np.std))
            axes.fill_between(range(len(order)), mean - deviation, mean + deviation, color=colour, alpha=0.25, lw=0)
            axes.plot(mean, color=colour, lw=1.6, label=name)
        _gate_axes(axes, gates)
    _finish(figure, rows)
    return figure


def plot_classes(
    recorded: Recording, labels: Labels, *, classes: Sequence[Any] | None = None, blocks: Sequence[str] | None = None
) -> Any:
    """Plots the mean gate of each channel for many classes, at several depths: a row per class, a column per channel.

    A column of one colour treats all classes alike. Channels are sorted by their mean over all samples.

    Args:
        recorded, labels, blocks: As in `plot_means`.
        classes: The classes to draw, from the top; by default the thirty with the most samples.

    Returns:
        A `matplotlib.figure.Figure`, which is not shown.

    Raises:
        ValueError: for labels, classes or blocks that do not fit the recording.
        ImportError: if matplotlib is missing.
    """
    drawn, chosen = channel_blocks(recorded, blocks), members(recorded, labels, classes, MOST_ROWS)
    figure, rows = grid(len(drawn), (WIDTH, max(HEIGHT, 0.5 + 0.14 * len(chosen))))
    for axes, gates in zip(rows, drawn, strict=True):
        means = np.stack([gates.values[mask].mean(axis=0) for mask in chosen.values()])[:, _order(gates)]
        low, high = gates.bounds or (means.min(), means.max())
        image = axes.imshow(means, cmap=CLOSED_TO_OPEN, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
        axes.set_yticks(range(len(chosen)), list(chosen))
        axes.grid(visible=False)
        heading(axes, gates.label)
        bar = figure.colorbar(image, ax=axes, pad=0.01, label="gate")
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, labelcolor=MUTED)
    rows[-1].set_xlabel("channel, by its mean gate", color=MUTED)
    return figure


def plot_saturation(recorded: Recording, low: float = 0.05, high: float = 0.95) -> Any:
    """Plots the shares of closed and of open gates in each block, from the first to the last.

    Blocks whose gates have no bounds, such as those of a ReLU, are not drawn.

    Args:
        recorded: The result of `record`.
        low, high: The thresholds as shares of the range of the gates, as in `summarize`.

    Returns:
        A `matplotlib.figure.Figure`, which is not shown.

    Raises:
        ValueError: for thresholds out of range, or if no block has gates with bounds.
        ImportError: if matplotlib is missing.
    """
    found = [block for block in summarize(recorded, low, high).blocks if block.bounds is not None]
    if not found:
        raise ValueError(
            "recorded must have a block whose gates have bounds. "
            f"Received: {[gates.label for gates in recorded.blocks]}"
        )
    figure, (axes,) = grid(1, (WIDTH, 1.0 + BAR * len(found)))
    most = LEAST_SHARE
    for part, sign, colour, text in (
        ("closed", -1, CLOSED, f"closed: below {low:.0%} of the range"),
        ("open", 1, OPEN, f"open: above {high:.0%}"),
    ):
        shares = [100 * getattr(block, part) for block in found]
        bars = axes.barh(range(len(found)), [sign * share for share in shares], color=colour, label=text, height=0.7)
        axes.bar_label(bars, [f"{share:.1f}" if share else "" for share in shares], padding=3, fontsize=8, color=MUTED)
        most = max(most, *shares)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_xlim(-1.15 * most, 1.15 * most)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xlabel("gates (%)", color=MUTED)
    axes.set_yticks(range(len(found)), [block.label for block in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _order(gates: Gates) -> np.ndarray:
    return np.argsort(gates.values.mean(axis=0), kind="stable")


def _gate_axes(axes: Any, gates: Gates) -> None:
    heading(axes, gates.label)
    axes.set_ylabel("gate", color=MUTED)
    if gates.bounds is not None:
        axes.set_ylim(*gates.bounds)
    axes.set_xlim(0, max(1, gates.values.shape[1] - 1))


def _finish(figure: Any, rows: Sequence[Any]) -> None:
    rows[-1].set_xlabel("channel, by its mean gate", color=MUTED)
    handles, names = rows[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False, labelcolor=INK)
