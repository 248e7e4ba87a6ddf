"""Selects paths by a regular expression or a list of names."""

import difflib
import re
from collections.abc import Sequence

NEAREST = 3


def select(argument: str, wanted: str | Sequence[str], paths: Sequence[str], described: str) -> list[str]:
    """The paths that match, by the whole path or by its last part: `"backbone/conv1"` or `"conv1"`.

    Args:
        argument: The user's name of the argument, for errors.
        wanted: A regular expression for whole names, or a list of names.
        paths: The paths to select from.
        described: A description of these, for errors.

    Raises:
        ValueError: for an invalid expression, and for an expression or a name without a match.
    """
    names = {path: (path, path.rpartition("/")[2]) for path in paths}
    if isinstance(wanted, str):
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise ValueError(f"{argument} must be a regular expression. Received: {wanted!r} ({error})") from error
        found = [path for path in names if any(pattern.fullmatch(name) for name in names[path])]
        missing = [] if found else [wanted]
    else:
        found = [path for path in names if set(names[path]) & set(wanted)]
        missing = [name for name in wanted if not any(name in both for both in names.values())]
    if missing:
        known = list(dict.fromkeys(name for both in names.values() for name in reversed(both)))
        near = difflib.get_close_matches(missing[0], known, n=NEAREST, cutoff=0.3) or known[:NEAREST]
        nearest = ", ".join(near) or "none"
        raise ValueError(f"{argument} must match {described}. The nearest are {nearest}. Received: {missing[0]!r}")
    return found
