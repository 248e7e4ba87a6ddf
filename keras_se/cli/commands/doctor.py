"""`keras-se doctor`: lists what is installed, and which features require more."""

import click
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from keras_se.cli.console import FAILED, Output
from keras_se.cli.model_argument import json_option
from keras_se.doctor import EXTRAS, Diagnosis, diagnose


@click.command()
@json_option
@click.pass_obj
@click.pass_context
def doctor(context: click.Context, output: Output) -> None:
    """List what is installed, what conflicts, and what each missing extra would add.

    Exit status 1 if there is a problem with an installed package.
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
    for header in ("feature", "installed", "to install it"):
        table.add_column(header)
    enabled = dict(EXTRAS)
    for extra, there in found.extras.items():
        name = f"keras-se\\[{extra}]" if extra else "keras-se"
        table.add_row(enabled[extra], "yes" if there else "NO", "" if there else f"pip install '{name}'")
    return table


def _packages(found: Diagnosis) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("package", "found", "wanted"):
        table.add_column(header)
    for package in found.packages:
        table.add_row(package.name, package.found or "-", package.wanted or "any")
    return table
