"""`keras-se insert`: inserts SE into a model."""

from pathlib import Path
from typing import Any

import click

from keras_se.cli.console import Output, quiet
from keras_se.cli.model_argument import load_plain, plain_model_options


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--where", default="auto", show_default=True, help="auto, or a regular expression for layer names.")
@click.option("-r", "ratio", type=int, default=16, show_default=True, help="Reduction ratio of the SE layers.")
@click.option("--no-identity", is_flag=True, help="SE with random weights, instead of SE that starts as the identity.")
@click.option("--dry-run", is_flag=True, help="Only show where SE would be inserted, and what it would add.")
@click.option("--more-se", is_flag=True, help="Also insert SE into a model that already has it.")
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
    """Insert SE into MODEL, and write the result to OUT, a .keras file.

    With --where auto, SE is placed as in the paper: on residual branches, after Inception modules, and at the ends of
    dense blocks and stages. Weights are kept, and until it is trained, the new model computes what MODEL computes. A
    builder's network is built without SE.
    """
    with quiet(output):
        from keras_se._files import check_target, published
        from keras_se.insert import insert_se, insertion_plan

        if out.suffix != ".keras":
            raise ValueError(f"OUT must end in .keras. Received: {str(out)!r}")
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
