"""Prints results, errors and progress of the command, and hides the output of libraries."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

# Exit statuses other than 0.
FAILED = 1
WRONG_INPUT = 2


class Output:
    """Prints tables to stdout and progress to stderr. With `--json`, stdout gets one document and nothing else."""

    def __init__(self) -> None:
        self.as_json = False
        self.notes: list[str] = []  # notes on earlier steps; with `--json` they go to stderr
        self.stdout = Console(width=None if sys.stdout.isatty() else 120)
        self.stderr = Console(stderr=True)

    def show(self, document: Any, table: RenderableType, notes: Sequence[str] = ()) -> None:
        if self.as_json:
            self.stdout.file.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
            self.stdout.file.flush()
            for note in self.notes:
                self.stderr.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)
            return
        self.stdout.print(table)
        for note in (*self.notes, *notes):
            self.stdout.print(note, markup=False, highlight=False)


def print_error(output: Output, sentence: str) -> None:
    output.stderr.print(f"Error: {sentence}", markup=False, highlight=False, soft_wrap=True)


def empty_table(headers: Sequence[str], texts: int = 1, **options: Any) -> Table:
    """A table without rows. The first `texts` columns hold text; the others hold numbers, aligned to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title_justify="left", **options)
    for i, header in enumerate(headers):
        table.add_column(header, justify="left" if i < texts else "right", overflow="fold")
    return table


@contextmanager
def progress(output: Output) -> Iterator[Progress]:
    description = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), description, MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        yield bar


@contextmanager
def quiet(output: Output) -> Iterator[None]:
    """Hides the output of libraries on stdout and stderr, from Python or C++; shows it after an unexpected error.

    TensorFlow and its converter log to both streams, while `--json` promises one document on stdout.
    """
    with tempfile.TemporaryFile() as log:
        saved = {stream: os.dup(stream) for stream in (1, 2)}
        sys.stdout.flush()
        consoles = output.stdout.file, output.stderr.file
        output.stdout.file = os.fdopen(os.dup(saved[1]), "w")
        output.stderr.file = os.fdopen(os.dup(saved[2]), "w")
        for stream in saved:
            os.dup2(log.fileno(), stream)
        try:
            yield
        except BaseException as error:
            if not is_expected(error):
                log.seek(0)
                os.write(saved[2], log.read())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, copy in saved.items():
                os.dup2(copy, stream)
                os.close(copy)
            output.stdout.file.close()
            output.stderr.file.close()
            output.stdout.file, output.stderr.file = consoles


def is_expected(error: BaseException) -> bool:
    """Whether the package raises this error on purpose, with a message for the user."""
    # By name, since importing `keras_se.export` may be what failed.
    named = any(kind.__name__ == "ExportError" for kind in type(error).__mro__)
    expected = (ImportError, ValueError, OSError, KeyboardInterrupt, SystemExit)
    return named or isinstance(error, expected) or is_out_of_memory(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy or a backend ran out of memory."""
    # By name, since importing TensorFlow for its error class would take seconds.
    named = any(kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__)
    return isinstance(error, MemoryError) or named or str(error).startswith("RESOURCE_EXHAUSTED")  # JAX
