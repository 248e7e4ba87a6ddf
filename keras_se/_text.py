"""What error messages quote: short, and in one line, whatever a file says."""

from typing import Any

LONGEST = 300


def shown(value: Any) -> str:
    """As Python writes it, in one line."""
    text = repr(value)
    return _cut(text if text.isprintable() else " ".join(text.split()))


def reason(error: BaseException) -> str:
    """What an error of another package says, without what cannot be printed."""
    words = "".join(c if c.isprintable() else " " for c in str(error)).split()
    return _cut(" ".join(words)) or type(error).__name__


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
