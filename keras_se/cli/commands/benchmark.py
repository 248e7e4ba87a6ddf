"""`keras-se benchmark`: measures latency, memory and size of exported files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.filesize import decimal
from rich.table import Table

from keras_se._text import counted
from keras_se.cli.console import Output, empty_table, progress, quiet
from keras_se.cli.model_argument import json_option

if TYPE_CHECKING:
    from keras_se.export import Benchmark


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), help="Threads of each runtime. Default: one per core.")
@click.option("--rounds", type=click.IntRange(1), default=50, show_default=True, help="Measured calls of each file.")
@click.option("--warm-up", type=click.IntRange(0), default=5, show_default=True, help="Calls before the measured ones.")
@click.option("--batch-size", type=click.IntRange(1), default=1, show_default=True, help="Where a file leaves it open.")
@click.option("--size", type=click.IntRange(1), default=224, show_default=True, help="Other open sizes of a file.")
@click.option("--profile/--no-profile", default=True, show_default=True, help="Also measure time by kind of operation.")
@json_option
@click.pass_obj
def benchmark(output: Output, files: tuple[str, ...], **options: Any) -> None:
    """Measure latency and memory of FILES in their runtimes: .tflite and .onnx files, and folders of SavedModels.

    Calls of several files alternate, so that their latencies can be compared.
    """
    with quiet(output):
        from keras_se.export import benchmark as benchmark_files
        from keras_se.export.benchmark.machine import machine, versions

        with progress(output) as bar:
            bar.add_task(f"running {counted(len(files), 'file')}", total=None)
            found = benchmark_files(files, **options)
        here, with_versions = machine(), versions()
    rounds = options["rounds"]
    notes = [f"{here}. Rounds: {rounds}.", *(note for each in found for note in each.notes)]
    document = {
        "machine": here,
        "versions": with_versions,
        "rounds": rounds,
        "files": [each.to_dict() for each in found],
    }
    output.show(document, Group(_table(found), *(_profile_table(each) for each in found if each.profile)), notes)


def _table(found: "Sequence[Benchmark]") -> Table:
    table = empty_table(
        ("file", "threads", "latency (ms)", "middle half", "p90", "relative to the first", "memory", "size")
    )
    for each in found:
        latency = each.latency
        table.add_row(
            each.path.name,
            str(each.threads),
            f"{1e3 * latency.median:.3f}",
            f"{1e3 * latency.low:.3f} to {1e3 * latency.high:.3f}",
            f"{1e3 * latency.p90:.3f}",
            f"{latency.median / found[0].latency.median:.3f}",
            decimal(each.memory or 0),
            decimal(each.size),
        )
    return table


def _profile_table(each: "Benchmark") -> Table:
    profile = each.profile or ()
    total = sum(operation.seconds for operation in profile)
    table = empty_table(("operation", "count", "ms", "share"), title=each.path.name)
    for operation in profile:
        share = operation.seconds / total if total else 0.0
        table.add_row(operation.kind, str(operation.count), f"{1e3 * operation.seconds:.3f}", f"{share:.1%}")
    return table
