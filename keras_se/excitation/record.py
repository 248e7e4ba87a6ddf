"""Records the gates of SE blocks while a model computes."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_se.excitation.taps import Tap
from keras_se.graph.activations import batches
from keras_se.graph.columns import columns_of
from keras_se.graph.walk import check_graph, layers_by_path
from keras_se.layers import EXCITATIONS, twice_sigmoid

# The range of the gates of each activation.
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
        path: The layer's name, after the names of the models and layers that contain it: `backbone/stage1_se`.
        kind: The layer's class.
        values: The gates: (samples, channels), or (samples, *spatial) for spatial gates.
        call: The number of the call, from 1.
        masked: Whether the call received a mask.
        bounds: The lowest and the highest value that a gate can have; `None` if they are unknown or unbounded.
        maps: The block's input, (samples, *spatial, channels), if it was requested.
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
        """The path, with the number of the call if it is not the first."""
        return self.path if self.call == 1 else f"{self.path} (call {self.call})"

    @property
    def of_channels(self) -> bool:
        """Whether there is a gate for each channel, rather than for each position."""
        return self.kind != "SpatialSqueezeExcite"


@dataclass(frozen=True)
class Recording:
    """The result of `record`.

    Attributes:
        model: The model's name.
        blocks: The gates of each block, in the order of the layers. The two parts of a `ConcurrentSqueezeExcite` are
            separate blocks, `…/channel` and `…/spatial`.
        left_out: The paths of blocks of which at least one call could not be recorded.
    """

    model: str
    blocks: tuple[Gates, ...]
    left_out: tuple[str, ...]

    @property
    def samples(self) -> int:
        return len(self.blocks[0].values)

    def __getitem__(self, label: str) -> Gates:
        """The gates of a block by its label: its path, or `"path (call 2)"` for a later call."""
        found = {gates.label: gates for gates in self.blocks}
        if label not in found:
            raise KeyError(f"The label must be one of {sorted(found)}. Received: {label!r}")
        return found[label]


def record(model: keras.Model, data: Any, *, maps: bool = False) -> Recording:
    """Runs a model on data, and records the gates of its SE blocks for every sample.

    Blocks of models inside the model are included, and every call of a block. Blocks outside the graph, such as those
    inside a layer of your own, are left out: a warning and `Recording.left_out` name them.

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
        model: A functional or Sequential model of any backend. It runs in inference mode, with its dtype policy.
        data: The inputs: an array (samples, …), or for several inputs a list of arrays or a mapping from input name to
            array.
        maps: Whether to keep the input of each block, too, which `plot_overlay` requires. It takes memory: use few
            samples.

    Raises:
        ValueError: for a model without a graph or without SE blocks in it, or data that do not fit.
    """
    check_graph("record", model)
    recording = recording_of(model, columns_of(model, data), maps=maps)
    if not recording.blocks:
        unseen = f", whose SE blocks {list(recording.left_out)} are outside it" if recording.left_out else ""
        raise ValueError(f"model must have SE blocks in its graph. Received: {model.name!r}{unseen}")
    if recording.left_out:
        warnings.warn(
            f"SE blocks with calls outside the graph of {model.name!r} were left out: {', '.join(recording.left_out)}",
            stacklevel=2,
        )
    return recording


def recording_of(model: keras.Model, columns: Sequence[np.ndarray], *, maps: bool = False) -> Recording:
    """`record` for one array per input; the model may have no blocks."""
    tap = Tap(model)
    parts = [tap.gates(batch, maps=maps) for batch in batches(columns)]
    counts: Counter[str] = Counter()
    blocks = []
    for call, results in zip(tap.calls, zip(*parts, strict=True), strict=True):
        values, block_maps = zip(*results, strict=True)
        counts[call.path] += 1
        gates = Gates(
            path=call.path,
            kind=type(call.part).__name__,
            values=np.concatenate(values),
            call=counts[call.path],
            masked=call.masked,
            bounds=BOUNDS.get(getattr(call.part.gate, "activation", call.part.gate)),
        )
        blocks.append(replace(gates, maps=np.concatenate(block_maps)) if maps else gates)
    seen = {path for call in tap.calls for path in (call.block, call.path)}
    return Recording(model.name, tuple(blocks), tuple(dict.fromkeys([*tap.unseen, *_hidden(model, seen)])))


def _hidden(model: keras.Model, seen: set[str]) -> list[str]:
    """The paths of blocks that were not recorded, without the parts of blocks."""
    blocks = [path for path, layer in layers_by_path(model) if isinstance(layer, EXCITATIONS)]
    return [path for path in blocks if path not in seen and path.rpartition("/")[0] not in blocks]
