"""`keras-se verify`: compares a file with the model that it was exported from."""

from pathlib import Path
from typing import Any

import click

from keras_se.cli.console import FAILED, Output, print_error, progress, quiet
from keras_se.cli.model_argument import load, model_options
from keras_se.cli.parity_table import parity_table


@click.command()
@click.argument("file")
@click.argument("model")
@click.option("--data", type=click.Path(), help="An .npy or .npz file of inputs to compare on. Default: random inputs.")
@click.option("--preprocessing", is_flag=True, help="FILE takes pixels. Most files record this themselves.")
@click.option("--samples", type=click.IntRange(1), default=8, show_default=True, help="Number of random inputs.")
@click.option("--strict", is_flag=True, help="Exit with status 1 also if the comparison is inconclusive.")
@model_options
@click.pass_obj
@click.pass_context
def verify(
    context: click.Context,
    output: Output,
    file: str,
    model: str,
    data: str | None,
    samples: int,
    preprocessing: bool,
    strict: bool,
    **build: Any,
) -> None:
    """Compare the outputs of FILE, in its runtime, with those of MODEL.

    Exit status 1 if they differ. On random inputs, an untrained network's outputs often vary too little: the comparison
    is then inconclusive, with a reason. Pass real inputs with --data.
    """
    with quiet(output):
        from keras_se.export import verify as verify_file

        with progress(output) as bar:
            bar.add_task(f"verifying {Path(file).name}", total=None)
            network, _ = load(output, model, build)
            artifact = verify_file(file, network, data, samples, preprocessing=preprocessing or None)
    output.show(artifact.to_dict(), parity_table([artifact]), artifact.notes)
    if artifact.parity is None or not artifact.parity.passed:
        print_error(output, f"{file} does not compute what {model} computes.")
        context.exit(FAILED)
    if strict and not artifact.parity.conclusive:
        print_error(output, f"The comparison of {file} with {model} is inconclusive.")
        context.exit(FAILED)
