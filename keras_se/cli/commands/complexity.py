"""`keras-se complexity`: counts parameters and multiply-accumulates."""

from typing import Any

import click

from keras_se.cli.console import Output, quiet
from keras_se.cli.model_argument import load, model_options


@click.command()
@click.argument("model")
@click.option("--layers", is_flag=True, help="Print a row per layer instead of per stage.")
@model_options
@click.pass_obj
def complexity(output: Output, model: str, layers: bool, **build: Any) -> None:
    """Count the parameters and multiply-accumulates of MODEL, and SE's share.

    Convolutions and dense layers are counted from the graph, and in SE the projections and the scaling. --json lists
    every layer.
    """
    with quiet(output):
        from keras_se.complexity import complexity as count

        network, shape = load(output, model, build)
        counted = count(network, shape)
    unknown = ", ".join(counted.uncounted)
    notes = [f"Not counted, since their multiply-accumulates are unknown: {unknown}"] if unknown else []
    output.show(counted.to_dict(), counted.table(layers), notes)
