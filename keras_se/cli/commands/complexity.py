"""`keras-se complexity`."""

from typing import Any

import click

from keras_se.cli.commands.model import load, model_options
from keras_se.cli.console import Output, quiet


@click.command()
@click.argument("model")
@click.option("--layers", is_flag=True, help="A row for each layer, not for each stage.")
@model_options
@click.pass_obj
def complexity(output: Output, model: str, layers: bool, **build: Any) -> None:
    """Count the parameters and multiply-accumulates of MODEL, and SE's share.

    Counted from the graph: convolutions, dense layers, and of SE its projections and the scaling. With --json every
    layer is listed.
    """
    with quiet(output):
        from keras_se.complexity import complexity as count

        network, shape = load(output, model, build)
        counted = count(network, shape)
    notes = [f"Not counted, since their kind is not known: {', '.join(counted.uncounted)}"] if counted.uncounted else []
    output.show(counted.to_dict(), counted.table(layers), notes)
