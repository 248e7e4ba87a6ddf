"""`keras-se inspect`: the content of a file, and the targets that it fits."""

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from keras_se._text import printable
from keras_se.cli.console import FAILED, Output, empty_table, print_error, quiet
from keras_se.cli.model_argument import json_option

if TYPE_CHECKING:
    from keras_se.export.targets.reasons import Verdict


@click.command()
@click.argument("file")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="phone-cpu, phone-gpu, microcontroller, ethos-u or onnxruntime-mobile; repeatable.",
)
@json_option
@click.pass_obj
@click.pass_context
def inspect(context: click.Context, output: Output, file: str, targets: tuple[str, ...]) -> None:
    """Describe FILE: a .tflite or .onnx file, or the folder of a SavedModel.

    With --target, the exit status is 1 if FILE does not fit. Without it, all targets of the format are listed.
    """
    with quiet(output):
        from keras_se.export.inspect import inspect as inspect_file
        from keras_se.export.inspect.tables import notes, tables
        from keras_se.export.targets.check import verdicts

        inspection = inspect_file(file)
        found = verdicts(inspection, targets)
    document = inspection.to_dict() | {"verdicts": [verdict.to_dict() for verdict in found]}
    shown_tables = [*tables(inspection), *([_verdict_table(found)] if found else [])]
    output.show(document, Group(*shown_tables), notes(inspection))
    failed = [verdict for verdict in found if not verdict.passed]
    if targets and failed:
        for verdict in failed:
            print_error(output, printable(f"{file} does not fit {verdict.target}: {verdict.reasons[0]}"))
        context.exit(FAILED)


def _verdict_table(found: "list[Verdict]") -> Table:
    table = empty_table(("target", "fits", "why not"), texts=3)
    for verdict in found:
        count = len(verdict.reasons)
        more = f" (and {count - 1} more)" if count > 1 else ""
        why = printable(f"{verdict.reasons[0]}{more}") if count else ""
        table.add_row(verdict.target, "yes" if verdict.passed else "NO", Text(why))
    return table
