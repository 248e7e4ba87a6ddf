"""What `--debug-layers` does: a table of layers, and how far they are from floats."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from keras_se.export import Artifact, LayerErrors

# How many layers the table has, and how many names a note.
ROWS = 20
NAMES = 5


def check_debug_layers(formats: Sequence[str], modes: Sequence[str]) -> None:
    """Refuses it, before anything is exported, where there will be nothing to compare."""
    from keras_se.export.tflite.layer_errors import check_backend

    check_backend()
    if "tflite" not in formats or not any(mode != "none" for mode in modes):
        raise ValueError(
            "--debug-layers goes with a quantized TFLite file. "
            f"Received: --format {', '.join(formats)}, --quantize {', '.join(modes) or 'none'}"
        )


def errors_of(artifacts: "Sequence[Artifact]", model: Any, data: Any, **options: Any) -> "dict[str, LayerErrors]":
    """The errors of each quantized TFLite file, by its path."""
    from keras_se.export import layer_errors

    quantized = [str(one.path) for one in artifacts if one.format == "tflite" and one.quantize]
    return {path: layer_errors(path, model, data, **options) for path in quantized}


def layer_table(errors: "LayerErrors") -> Table:
    """The worst layers; `--json` has all."""
    title = f"{errors.path.name}: error of each layer's result against floats, {errors.samples} samples"
    table = Table(title=Text(title), box=SIMPLE_HEAD, pad_edge=False)
    for header in ("layer", "", "adds (dB)", "SQNR (dB)", "cosine"):
        table.add_column(header, justify="right" if "(" in header or header == "cosine" else "left", overflow="fold")
    for row in errors.rows[:ROWS]:
        name = f"{row.layer} ({', '.join(row.fused)})" if row.fused else row.layer
        table.add_row(Text(name), "SE" if row.se else "", _decibels(row.own), _decibels(row.sqnr), f"{row.cosine:.6f}")
    return table


def layer_notes(errors: "LayerErrors") -> list[str]:
    """What the table leaves out, a sentence each."""
    notes = []
    if len(errors.rows) > ROWS:
        notes.append(
            f"{errors.path.name}: {len(errors.rows) - ROWS} layers that add less are left out (--json has all)."
        )
    if errors.missing:
        rest = f" and {len(errors.missing) - NAMES} more" if len(errors.missing) > NAMES else ""
        names = ", ".join(errors.missing[:NAMES]) + rest
        notes.append(f"{errors.path.name}: part of other layers, or compute nothing: {names}.")
    return notes


def _decibels(value: float) -> str:
    return "-" if value == float("inf") else f"{value:.1f}"
