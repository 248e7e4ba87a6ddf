"""Cases of `pytest.mark.parametrize`, some of which run only with the slow tests."""

from typing import Any

import pytest


def case(*values: Any, slow: bool = False, id: str | None = None, marks: Any = ()) -> Any:
    """The arguments of one test. With `slow=True`, `make test-slow` runs it, and no other target."""
    every = [*(marks if isinstance(marks, list | tuple) else [marks]), *([pytest.mark.slow] if slow else [])]
    return pytest.param(*values, marks=every, id=id)
