"""Where SE goes in a network, and what it is called there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_se.layers import SqueezeExcite

PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")


@dataclass(frozen=True)
class Excite:
    """Puts SE at the places of one `placement`. A network calls it at every place where SE could be.

    Args:
        make: Returns the layer for a stage, or `None` for none.
        placement: The one place that gets it.
        used: The layers that have a place.
    """

    make: Callable[[int], keras.layers.Layer | None]
    placement: str
    used: list[keras.layers.Layer] = field(default_factory=list)

    def __call__(self, place: str, x: Any, *, stage: int, block: int) -> Any:
        layer = self.make(stage) if place == self.placement else None
        if layer is None:
            return x
        if not isinstance(layer, keras.layers.Layer) or any(layer is other for other in self.used):
            raise ValueError(
                "se must return a new keras.layers.Layer, or None, each time it is called with a stage. "
                f"Received: {layer!r} for stage {stage}"
            )
        self.used.append(layer)
        layer.name = f"stage{stage}_block{block}_se"
        return layer(x)


def excite(
    r: int | None,
    se: Callable[[int], keras.layers.Layer | None] | None,
    placement: str,
    placements: tuple[str, ...] = PLACEMENTS,
) -> Excite:
    """The arguments that every builder takes, checked. `placements` are those that the network has."""
    if placement not in placements:
        allowed = ", ".join(f'"{name}"' for name in placements)
        raise ValueError(f"placement must be one of {allowed} in this network. Received: placement={placement!r}")
    if se is not None and not callable(se):
        raise ValueError(f"se must be a callable, stage → layer or None. Received: se={se!r}")
    if r is not None:
        SqueezeExcite(r)  # a wrong r is refused also where no block would meet it

    def standard(stage: int) -> keras.layers.Layer | None:
        return None if r is None else SqueezeExcite(r)

    return Excite(se or standard, placement)
