"""Which of several paths a user means by a regular expression or a list of names."""

import difflib
import re
from collections.abc import Sequence

NEAREST = 3


def meant(argument: str, wanted: str | Sequence[str], paths: Sequence[str], sort: str) -> list[str]:
    """The paths that are meant. Each can be called by all of it, or by its last part: `"backbone/conv1"`, `"conv1"`.

    Args:
        argument: What the user calls `wanted`.
        wanted: A regular expression for whole names, or names.
        paths: What there is.
        sort: What that is, for the message.

    Raises:
        ValueError: for an expression that is none or that nothing matches, or a name that nothing has.
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
        missing = [name for name in wanted if not any(name in own for own in names.values())]
    if missing:
        known = list(dict.fromkeys(name for own in names.values() for name in reversed(own)))
        near = difflib.get_close_matches(missing[0], known, n=NEAREST, cutoff=0.3) or known[:NEAREST] or ["none"]
        raise ValueError(f"{argument} must match {sort}. The nearest are {', '.join(near)}. Received: {missing[0]!r}")
    return found
