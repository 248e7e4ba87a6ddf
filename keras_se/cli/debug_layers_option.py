"""The option `--debug-layers`: a table of the layers of a quantized file and their errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from keras_se._text import listed
from keras_se.cli.console import empty_table

if TYPE_CHECKING:
    from keras_se.export import Artifact, LayerErrors

# Layers in the table.
ROWS = 20


def check_debug_layers(formats: Sequence[str], modes: Sequence[str]) -> None:
    """Refuses the option before the export if no file will have errors to show."""
    from keras_se.export import FORMATS
    from keras_se.export.tflite.layer_errors import check_backend

    check_backend()
    readable = any(name in FORMATS and FORMATS[name].intermediate_tensors for name in formats)
    if not readable or not any(mode != "none" for mode in modes):
        raise ValueError(
            "--debug-layers requires a quantized TFLite file. "
            f"Received: --format {', '.join(formats)}, --quantize {', '.join(modes) or 'none'}"
        )


def errors_of(artifacts: "Sequence[Artifact]", model: Any, data: Any, **options: Any) -> "dict[str, LayerErrors]":
    """The errors of each quantized TFLite file, by its path."""
    from keras_se.export import FORMATS, layer_errors

    readable = (one for one in artifacts if FORMATS[one.format].intermediate_tensors)
    quantized = [str(one.path) for one in readable if one.quantize]
    return {path: layer_errors(path, model, data, **options) for path in quantized}


def layer_table(errors: "LayerErrors") -> Table:
    """The layers with the largest errors; `--json` has all."""
    title = f"{errors.path.name}: error of each layer's output relative to float, {errors.samples} samples"
    table = empty_table(("layer", "", "adds (dB)", "SQNR (dB)", "cosine"), texts=2, title=Text(title))
    for row in errors.rows[:ROWS]:
        name = f"{row.layer} ({', '.join(row.fused)})" if row.fused else row.layer
        table.add_row(Text(name), "SE" if row.se else "", _decibels(row.own), _decibels(row.sqnr), f"{row.cosine:.6f}")
    return table


def layer_notes(errors: "LayerErrors") -> list[str]:
    """Notes on the layers that the table leaves out."""
    notes = []
    if len(errors.rows) > ROWS:
        notes.append(
            f"{errors.path.name}: {len(errors.rows) - ROWS} layers that add less noise are left out (--json has all)."
        )
    if errors.missing:
        notes.append(f"{errors.path.name}: fused into other layers, or without computation: {listed(errors.missing)}.")
    return notes


def _decibels(value: float) -> str:
    return "-" if value == float("inf") else f"{value:.1f}"
