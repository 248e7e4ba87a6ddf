"""Formats values, names and errors for messages: short, printable and in one line."""

from collections.abc import Sequence
from typing import Any

# Characters of a quoted value or error.
LONGEST = 300
# Names that a list shows before it counts the rest.
LISTED = 5


def shown(value: Any) -> str:
    """A value as Python writes it."""
    return shortened(_in_one_line(repr(value)))


def reason(error: BaseException) -> str:
    """The message of another package's error, or the error's class if it has none."""
    return shortened(_in_one_line(str(error))) or type(error).__name__


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are: `a, b, c, d, e and 3 more`."""
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text from an untrusted file, without control characters that move the cursor or colour the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def shortened(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def last_line(output: str) -> str:
    """The last line that a program wrote: usually its error."""
    lines = output.strip().splitlines()
    return shortened(lines[-1].strip()) if lines else ""


def _in_one_line(text: str) -> str:
    return text if text.isprintable() else printable(" ".join(text.split()))
