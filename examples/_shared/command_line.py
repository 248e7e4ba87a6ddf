"""Command lines of the examples: the output folder, and errors that end the program."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


class NewFolder(click.Path):
    """A folder that exists or can be made later. A file with its name, or in place of a parent, is refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        folder = Path(super().convert(value, parameter, context))
        try:
            there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
        except OSError as error:  # a name that is too long, a folder that may not be read
            self.fail(f"Directory {str(folder)!r} cannot be made: {error}.", parameter, context)
        if not there.is_dir():
            self.fail(f"Directory {str(folder)!r} cannot be made: {str(there)!r} is not a folder.", parameter, context)
        return folder


def output_option(default: str) -> Callable[..., Any]:
    return click.option("--output", type=NewFolder(), default=default, show_default=True)


@contextmanager
def refusals() -> Iterator[None]:
    """An invalid argument or input ends the process with a sentence and status 2."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
