"""`keras-se doctor`: what is installed, and what would be missing for what."""

import click
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from keras_se.cli.commands.model import json_option
from keras_se.cli.console import FAILED, Output
from keras_se.doctor import ENABLES, Diagnosis, diagnose


@click.command()
@json_option
@click.pass_obj
@click.pass_context
def doctor(context: click.Context, output: Output) -> None:
    """Tell what is installed, what does not go together, and what each missing extra would bring.

    Exit status 1 if something that is installed does not work as it is.
    """
    found = diagnose()
    output.show(found.to_dict(), Group(_extras(found), _packages(found)), found.problems or ("No problem found.",))
    if found.problems:
        context.exit(FAILED)


def _extras(found: Diagnosis) -> Table:
    table = Table(
        title=f"Python {found.python} on {found.system}, {found.cores} cores; Keras backend: {found.backend}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for header in ("for", "there", "otherwise"):
        table.add_column(header)
    for extra, there in found.extras.items():
        name = f"keras-se\\[{extra}]" if extra else "keras-se"
        table.add_row(ENABLES[extra], "yes" if there else "NO", "" if there else f"pip install '{name}'")
    return table


def _packages(found: Diagnosis) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("package", "found", "wanted"):
        table.add_column(header)
    for package in found.packages:
        table.add_row(package.name, package.found or "-", package.wanted or "any")
    return table
