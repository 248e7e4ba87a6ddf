"""Records the gates of SE blocks while a model computes."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_se.excitation.taps import Tap
from keras_se.graph.activations import batches, columns_of
from keras_se.graph.walk import has_graph, layers_by_path
from keras_se.layers import EXCITATIONS, twice_sigmoid

# The range of the gates that an activation computes.
BOUNDS: dict[Any, tuple[float, float]] = {
    keras.activations.sigmoid: (0.0, 1.0),
    keras.activations.hard_sigmoid: (0.0, 1.0),
    keras.activations.softmax: (0.0, 1.0),
    twice_sigmoid: (0.0, 2.0),
    keras.activations.tanh: (-1.0, 1.0),
    keras.activations.relu6: (0.0, 6.0),
}


@dataclass(frozen=True)
class Gates:
    """The gates of a block in one of its calls.

    Attributes:
        path: The layer's name, after those of the models and layers around it: `backbone/stage1_se`.
        kind: Its class.
        values: (samples, channels), or (samples, *spatial) of gates of positions.
        call: Which call of the layer it is, from 1.
        masked: Whether the call had a mask.
        bounds: The lowest and the highest value that such a gate can have; `None` where they are unknown or infinite.
        maps: The map that the block scales, (samples, *spatial, channels), if `record` was called with `maps`.
    """

    path: str
    kind: str
    values: np.ndarray
    call: int = 1
    masked: bool = False
    bounds: tuple[float, float] | None = None
    maps: np.ndarray | None = None

    @property
    def label(self) -> str:
        """The path, and the number of the call unless it is the first."""
        return self.path if self.call == 1 else f"{self.path} (call {self.call})"

    @property
    def of_channels(self) -> bool:
        """Whether there is a gate for each channel, and not for each position."""
        return self.kind != "SpatialSqueezeExcite"


@dataclass(frozen=True)
class Recording:
    """The result of `record`.

    Attributes:
        model: The model's name.
        blocks: The gates of each block, in the order of the layers; the two parts of a `ConcurrentSqueezeExcite` are
            blocks of their own, `…/channel` and `…/spatial`.
        left_out: The paths of blocks whose gates could not be recorded, or not those of every call.
    """

    model: str
    blocks: tuple[Gates, ...]
    left_out: tuple[str, ...]

    @property
    def samples(self) -> int:
        return len(self.blocks[0].values)

    def __getitem__(self, label: str) -> Gates:
        """The gates of a block by its path, those of a later call as `"path (call 2)"`."""
        found = {gates.label: gates for gates in self.blocks}
        if label not in found:
            raise KeyError(f"label must be one of {sorted(found)}. Received: {label!r}")
        return found[label]


def record(model: keras.Model, data: Any, *, maps: bool = False) -> Recording:
    """Computes a model and keeps the gates of its SE blocks, for every sample.

    Blocks of nested models are recorded, too, and each call of a block. Blocks that the graph does not show, such as
    those inside a custom layer, are left out: a warning and `Recording.left_out` name them.

    Example:

    >>> import numpy as np
    >>> from keras_se import excitation
    >>> from keras_se.models import SEResNet
    >>> model = SEResNet((1, 1), block="basic", filters=(8, 16), r=4, input_shape=(32, 32, 3), classes=10)
    >>> images = np.random.default_rng(0).random((20, 32, 32, 3))
    >>> recorded = excitation.record(model, images)
    >>> [(gates.path, gates.values.shape) for gates in recorded.blocks]
    [('stage1_block1_se', (20, 8)), ('stage2_block1_se', (20, 16))]

    Args:
        model: A functional or Sequential model of any backend. It computes in inference mode, in its own precision.
        data: Inputs, an array (samples, …); for several inputs a list of arrays, or a mapping from input name to array.
        maps: Whether to keep the feature map that each block scales, which `plot_overlay` requires. Maps take memory:
            choose few samples.

    Raises:
        ValueError: for a model without a graph or without SE blocks in it, and for data that do not fit.
    """
    if not isinstance(model, keras.Model) or not has_graph(model):
        raise ValueError(
            "model must be functional, of a class without a call() of its own, or Sequential with an Input. "
            f"Received: {getattr(model, 'name', model)!r}, a {type(model).__name__}"
        )
    recording = recording_of(model, columns_of(model, data), maps=maps)
    if not recording.blocks:
        unseen = f", whose graph does not show {list(recording.left_out)}" if recording.left_out else ""
        raise ValueError(f"model must have SE blocks in its graph. Received: {model.name!r}{unseen}")
    if recording.left_out:
        warnings.warn(
            f"The graph of {model.name!r} does not show every call of some SE blocks, whose gates are left out: "
            f"{', '.join(recording.left_out)}",
            stacklevel=2,
        )
    return recording


def recording_of(model: keras.Model, columns: Sequence[np.ndarray], *, maps: bool = False) -> Recording:
    """`record` for an array for each input, and a model with or without blocks."""
    tap = Tap(model)
    parts = [tap.gates(batch, maps=maps) for batch in batches(columns)]
    counts: Counter[str] = Counter()
    blocks = []
    for stop, found in zip(tap.stops, zip(*parts, strict=True), strict=True):
        values, part_maps = zip(*found, strict=True)
        counts[stop.path] += 1
        gates = Gates(
            path=stop.path,
            kind=type(stop.part).__name__,
            values=np.concatenate(values),
            call=counts[stop.path],
            masked=stop.masked,
            bounds=BOUNDS.get(getattr(stop.part.gate, "activation", stop.part.gate)),
        )
        blocks.append(replace(gates, maps=np.concatenate(part_maps)) if maps else gates)
    seen = {path for stop in tap.stops for path in (stop.block, stop.path)}
    return Recording(model.name, tuple(blocks), tuple(dict.fromkeys([*tap.unseen, *_hidden(model, seen)])))


def _hidden(model: keras.Model, seen: set[str]) -> list[str]:
    """The paths of blocks that were not seen, without parts of blocks."""
    blocks = [path for path, layer in layers_by_path(model) if isinstance(layer, EXCITATIONS)]
    return [path for path in blocks if path not in seen and path.rpartition("/")[0] not in blocks]
