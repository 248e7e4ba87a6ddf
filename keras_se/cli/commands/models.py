"""`keras-se models`: lists the builders."""

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from keras_se.catalog import NETWORKS
from keras_se.cli.console import Output
from keras_se.cli.model_argument import json_option


@click.command()
@json_option
@click.pass_obj
def models(output: Output) -> None:
    """List the builders of networks, with the parameters and multiply-accumulates that SE adds."""
    table = Table(title="Networks (r = 16, in MobileNetV3 4)", box=SIMPLE_HEAD, pad_edge=False)
    for header in ("builder", "input", "parameters", "SE adds", "GMACs", "SE adds", "reference"):
        left = header in ("builder", "input", "reference")
        table.add_column(header, justify="left" if left else "right", no_wrap=header != "reference")
    rows = []
    for network in NETWORKS:
        rows.append({"input_shape": [network.size, network.size, 3], **vars(network)})
        table.add_row(
            network.builder,
            f"{network.size}x{network.size}",
            f"{network.parameters:,}",
            f"{network.se_parameters / (network.parameters - network.se_parameters):.1%}",
            f"{network.macs / 1e9:.3f}",
            f"{network.se_macs / (network.macs - network.se_macs):.2%}",
            network.reference,
        )
    output.show(rows, table)
