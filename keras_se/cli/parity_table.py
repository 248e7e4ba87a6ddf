"""The table of exported files, with their errors relative to Keras."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from keras_se.export import Artifact


def parity_table(artifacts: "Sequence[Artifact]") -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("file", "size", "error", "allowed", "cosine", "top-1", "verified"):
        table.add_column(header, justify="left" if header == "file" else "right", overflow="fold")
    for artifact in artifacts:
        parity = artifact.parity
        if parity is None:
            continue
        table.add_row(
            Text(artifact.path.name),
            decimal(artifact.size),
            f"{parity.error:.1e}",
            f"{parity.tolerance:.1e}",
            f"{parity.cosine:.7f}",
            f"{parity.top1_agreement:.1%}",
            ("yes" if parity.conclusive else "inconclusive") if parity.passed else "NO",
        )
    return table
