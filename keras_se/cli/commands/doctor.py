"""`keras-se doctor`: lists what is installed, and which features require more."""

import click
from rich.console import Group
from rich.table import Table

from keras_se.cli.console import FAILED, Output, empty_table
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
    title = f"Python {found.python} on {found.system}, {found.cores} cores; Keras backend: {found.backend}"
    table = empty_table(("feature", "installed", "to install it"), texts=3, title=title)
    enabled = dict(EXTRAS)
    for extra, there in found.extras.items():
        name = f"keras-se\\[{extra}]" if extra else "keras-se"
        table.add_row(enabled[extra], "yes" if there else "NO", "" if there else f"pip install '{name}'")
    return table


def _packages(found: Diagnosis) -> Table:
    table = empty_table(("package", "found", "wanted"), texts=3)
    for package in found.packages:
        table.add_row(package.name, package.found or "-", package.wanted or "any")
    return table
