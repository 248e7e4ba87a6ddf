"""Where SE goes in a network, and what it is called there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_se.layers import SqueezeExcite
from keras_se.models._shared.blocks import channels

PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")


def of_ratio(r: int, width: int) -> keras.layers.Layer:
    """The excitation of the paper, for a map of `width` channels."""
    return SqueezeExcite(r)


@dataclass(frozen=True)
class Excite:
    """Puts SE at the places of one `placement`. A network calls it at every place where SE could be.

    Args:
        make: Returns the layer for a stage and a number of channels, or `None` for none.
        placement: The one place that gets it.
        used: The layers that have a place.
    """

    make: Callable[[int, int], keras.layers.Layer | None]
    placement: str
    used: list[keras.layers.Layer] = field(default_factory=list)

    def __call__(self, place: str, x: Any, *, stage: int, name: str) -> Any:
        """`x`, excited by the layer `<name>_se` if this is the place."""
        layer = self.make(stage, channels(x)) if place == self.placement else None
        if layer is None:
            return x
        if not isinstance(layer, keras.layers.Layer) or any(layer is other for other in self.used):
            raise ValueError(
                "se must return a new keras.layers.Layer, or None, each time it is called with a stage. "
                f"Received: {layer!r} for stage {stage}"
            )
        self.used.append(layer)
        layer.name = f"{name}_se"
        return layer(x)


def excite(
    r: int | None,
    se: Callable[[int], keras.layers.Layer | None] | None,
    placement: str,
    placements: tuple[str, ...] = PLACEMENTS,
    layer: Callable[[int, int], keras.layers.Layer] = of_ratio,
) -> Excite:
    """The arguments that every builder takes, checked.

    Args:
        r, se, placement: As in a builder.
        placements: Those that the network has.
        layer: The network's own excitation of a reduction ratio and a number of channels.
    """
    if placement not in placements:
        allowed = ", ".join(f'"{name}"' for name in placements)
        raise ValueError(f"placement must be one of {allowed} in this network. Received: placement={placement!r}")
    # A layer is callable, too, and a class of layers would take the stage for its first argument.
    if se is not None and (not callable(se) or isinstance(se, keras.layers.Layer | type)):
        raise ValueError(
            "se must be a function from the stage to a new layer or None, such as lambda stage: SqueezeExcite(8). "
            f"Received: se={se!r}"
        )
    if r is not None:
        SqueezeExcite(r)  # a wrong r is refused also where no block would meet it

    def make(stage: int, width: int) -> keras.layers.Layer | None:
        if se is not None:
            return se(stage)
        return None if r is None else layer(r, width)

    return Excite(make, placement)
