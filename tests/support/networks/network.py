"""A row of the table of small networks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True, kw_only=True)
class Network:
    """How a small network is built, and what tests know of it.

    Attributes:
        make: Builds it; takes the options of its builder, if there is one.
        inputs: Its inputs' names in exported files.
        outputs: Its outputs' names in exported files.
        twin: Builds the same network in float32, if it is in another type: files are in float32.
        se_after: The layers that `insert_se` puts SE after.
    """

    make: Callable[..., keras.Model] | None = None
    inputs: tuple[str, ...] = ("image",)
    outputs: tuple[str, ...] = ("predictions",)
    twin: Callable[[], keras.Model] | None = None
    se_after: tuple[str, ...] = ()

    def build(self, **options: Any) -> keras.Model:
        assert self.make is not None
        return self.make(**options)
