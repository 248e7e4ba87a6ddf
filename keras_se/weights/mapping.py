"""Maps tensor names of checkpoints to variables of networks: rules for layers, and the variables of each layer."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import keras

# The order of a tensor's axes in PyTorch → in Keras.
AXES = {
    "unchanged": None,
    "dense": (1, 0),  # (out, in) → (in, out)
    "conv": (2, 3, 1, 0),  # (out, in, height, width) → (height, width, in, out)
    "depthwise": (2, 3, 0, 1),  # (channels, 1, height, width) → (height, width, channels, 1)
    "project": (1, 0),  # (out, in, 1, 1) → (in, out)
    "pointwise": (1, 0),  # (out, in) → (1, 1, in, out)
}


class Part(NamedTuple):
    """A tensor of a layer: the name of the variable in Keras, and the order of axes in `AXES`."""

    variable: str
    axes: str = "unchanged"


# The tensors of each kind of layer, by their name in PyTorch.
PARTS: dict[str, dict[str, Part]] = {
    "conv": {"weight": Part("kernel", "conv"), "bias": Part("bias")},
    "depthwise": {"weight": Part("kernel", "depthwise"), "bias": Part("bias")},
    "dense": {"weight": Part("kernel", "dense"), "bias": Part("bias")},
    # A classifier that is a dense layer in PyTorch and a 1x1 convolution in Keras.
    "pointwise": {"weight": Part("kernel", "pointwise"), "bias": Part("bias")},
    "norm": {
        "weight": Part("gamma"),
        "bias": Part("beta"),
        "running_mean": Part("moving_mean"),
        "running_var": Part("moving_variance"),
    },
    "reduce": {"weight": Part("reduce_kernel", "project"), "bias": Part("reduce_bias")},
    "expand": {"weight": Part("expand_kernel", "project"), "bias": Part("expand_bias")},
}
# A batch norm's count of batches does not change its output.
IGNORED = ("num_batches_tracked",)


class Rule(NamedTuple):
    """A layer's name in the checkpoint, its name in Keras, and its kind in `PARTS`.

    `{stage}` and `{block}` stand for a number, to which the family's `offsets` are added; `{i}` for any number.
    """

    source: str
    layer: str
    kind: str


@dataclass(frozen=True)
class Family:
    """Checkpoints that name their tensors alike.

    Attributes:
        name: The family's name in error messages.
        mark: A tensor that every checkpoint of the family has, and no other checkpoint.
        rules: The table. Where several rules match a name, the one whose layer the network has is used.
        missing_options: Returns the options that the checkpoints require and a network lacks.
        classifier: The layer whose shape depends on the number of classes.
        head: All layers that a network without its top lacks.
        offsets: Added to `{stage}` and `{block}`.
    """

    name: str
    mark: str
    rules: Sequence[Rule]
    missing_options: Callable[[keras.Model], list[str]]
    classifier: str = "predictions"
    head: tuple[str, ...] = ("predictions",)
    offsets: Mapping[str, int] = field(default_factory=lambda: {"block": 1})


class Target(NamedTuple):
    """The layer and the variable that a tensor belongs to, and the order of its axes."""

    layer: str
    variable: str
    axes: str

    @property
    def path(self) -> str:
        return f"{self.layer}/{self.variable}"


def find_target(family: Family, name: str, layers: Mapping[str, object]) -> Target | None:
    """The target of the tensor `name` in a network with these layers; `None` if no rule matches it."""
    owner, _, part = name.rpartition(".")
    found = None
    for rule in family.rules:
        match = _pattern(rule.source).fullmatch(owner)
        if match is None or part not in PARTS[rule.kind]:
            continue
        numbers = {key: int(value) + family.offsets.get(key, 0) for key, value in match.groupdict().items()}
        found = Target(rule.layer.format(**numbers), *PARTS[rule.kind][part])
        if found.layer in layers:
            return found
    return found


@cache
def _pattern(source: str) -> re.Pattern[str]:
    escaped = re.escape(source).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>\\d+)", escaped), re.ASCII)
