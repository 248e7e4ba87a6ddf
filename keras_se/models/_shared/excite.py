"""Places SE layers in a network, and names them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_se._validation import one_of
from keras_se.layers import SqueezeExcite
from keras_se.layers.base import check_layer_function
from keras_se.models._shared.blocks import channels

PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")


def of_ratio(r: int, width: int) -> keras.layers.Layer:
    """The paper's excitation for a feature map of `width` channels."""
    return SqueezeExcite(r)


@dataclass(frozen=True)
class Excite:
    """Adds SE layers at one placement. A network calls it at every place that could have one.

    Attributes:
        make: (stage, channels) → a new layer, or `None` for none.
        placement: The placement that gets the layers.
        used: The layers that are already in the network.
    """

    make: Callable[[int, int], keras.layers.Layer | None]
    placement: str
    used: list[keras.layers.Layer] = field(default_factory=list)

    def __call__(self, place: str, x: Any, *, stage: int, name: str) -> Any:
        """Returns `x` after the layer `<name>_se` if `place` is the placement, and `x` itself otherwise."""
        layer = self.make(stage, channels(x)) if place == self.placement else None
        if layer is None:
            return x
        if not isinstance(layer, keras.layers.Layer) or any(layer is other for other in self.used):
            raise ValueError(
                "se must return a new keras.layers.Layer, or None, for each call with a stage. "
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
    """Checks a builder's arguments `r`, `se` and `placement`, and returns the `Excite` that they describe.

    Args:
        r, se, placement: As in a builder.
        placements: The placements that the network supports.
        layer: (reduction ratio, channels) → the network's standard excitation.
    """
    one_of("placement", placement, placements, " in this network")
    check_layer_function(se, "the stage", "stage")
    if r is not None:
        SqueezeExcite(r)  # checks r, even if the network has no place for it

    def make(stage: int, width: int) -> keras.layers.Layer | None:
        if se is not None:
            return se(stage)
        return None if r is None else layer(r, width)

    return Excite(make, placement)
