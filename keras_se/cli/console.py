"""Where the command prints, and what it keeps from being printed."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Exit status, besides 0.
FAILED = 1
WRONG_INPUT = 2


class Output:
    """Where a command prints: tables on stdout, progress on stderr; with `--json` one document, and nothing else."""

    def __init__(self) -> None:
        self.as_json = False
        self.notes: list[str] = []  # of steps before the result; with `--json` on stderr
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


@contextmanager
def progress(output: Output) -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        yield bar


@contextmanager
def quiet(output: Output) -> Iterator[None]:
    """Keeps what libraries write, from Python or C++, off the terminal; after an unexpected error it is shown.

    TensorFlow and its converter log to both streams, and `--json` promises one document on stdout.
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
    """Whether an error is one that the package raises on purpose, and a sentence."""
    # By name: `keras_se.export` itself may be what cannot be imported.
    named = any(kind.__name__ == "ExportError" for kind in type(error).__mro__)
    expected = (ImportError, ValueError, OSError, KeyboardInterrupt, SystemExit)
    return named or isinstance(error, expected) or is_out_of_memory(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory: Python's, NumPy's, or that of a backend."""
    # By name: to import TensorFlow for its error would take seconds.
    named = any(kind.__name__ == "ResourceExhaustedError" for kind in type(error).__mro__)
    return isinstance(error, MemoryError) or named or str(error).startswith("RESOURCE_EXHAUSTED")  # JAX
