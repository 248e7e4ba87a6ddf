"""The table of exported files, with their errors relative to Keras."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from keras_se.cli.console import empty_table

if TYPE_CHECKING:
    from keras_se.export import Artifact


def parity_table(artifacts: "Sequence[Artifact]") -> Table:
    table = empty_table(("file", "size", "error", "allowed", "cosine", "top-1", "verified"))
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
