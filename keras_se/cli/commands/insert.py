"""`keras-se insert`."""

from pathlib import Path
from typing import Any

import click

from keras_se.cli.commands.model import load_plain, plain_model_options
from keras_se.cli.console import Output, quiet


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--where", default="auto", show_default=True, help="auto, or a regular expression for names of layers.")
@click.option("-r", "ratio", type=int, default=16, show_default=True, help="Reduction ratio of the SE layers.")
@click.option("--no-identity", is_flag=True, help="Plain SE with random weights, not SE that changes nothing at first.")
@click.option("--dry-run", is_flag=True, help="Only tell where SE would go, and what it would add.")
@click.option("--more-se", is_flag=True, help="Also into a model that has SE already.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@plain_model_options
@click.pass_obj
def insert(
    output: Output,
    model: str,
    out: Path,
    where: str,
    ratio: int,
    no_identity: bool,
    dry_run: bool,
    more_se: bool,
    force: bool,
    **build: Any,
) -> None:
    """Put SE into MODEL, and write the result to OUT, a .keras file.

    With --where auto it goes where the paper has it: on residual branches, after Inception modules, at the ends of
    dense blocks and of stages. The new model computes what MODEL computes, and learns on from there; weights are kept.
    A builder's network is the plain one.
    """
    with quiet(output):
        from keras_se._files import check_target, published
        from keras_se.insert import insert_se, insertion_plan

        if out.suffix != ".keras":
            raise ValueError(f"OUT must be the name of a .keras file. Received: {str(out)!r}")
        if not dry_run:
            check_target(out, force)
        network = load_plain(output, model, build)
        plan = insertion_plan(network, where, ratio, identity=not no_identity, force=more_se)
        if not dry_run:
            excited = insert_se(network, where, ratio, identity=not no_identity, force=more_se)
            with published(out, force) as path:
                excited.save(path)
    written = None if dry_run else str(out)
    notes = ["Nothing was written (--dry-run)."] if dry_run else [f"Written: {out}"]
    output.show(plan.to_dict() | {"written": written}, plan.table(), notes)
