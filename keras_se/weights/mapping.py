"""How the tensors of a source are called here: tables of rules, and the parts of a layer."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import keras

# Axes of a tensor in PyTorch → in Keras.
AXES = {
    "same": None,
    "dense": (1, 0),  # (out, in) → (in, out)
    "conv": (2, 3, 1, 0),  # (out, in, height, width) → (height, width, in, out)
    "depthwise": (2, 3, 0, 1),  # (channels, 1, height, width) → (height, width, channels, 1)
    "project": (1, 0),  # (out, in, 1, 1) → (in, out)
    "pointwise": (1, 0),  # (out, in) → (1, 1, in, out)
}


class Part(NamedTuple):
    """A tensor of a layer: what the variable is called here, and how its axes lie."""

    variable: str
    axes: str = "same"


# The tensors of each kind of layer in PyTorch.
PARTS: dict[str, dict[str, Part]] = {
    "conv": {"weight": Part("kernel", "conv"), "bias": Part("bias")},
    "depthwise": {"weight": Part("kernel", "depthwise"), "bias": Part("bias")},
    "dense": {"weight": Part("kernel", "dense"), "bias": Part("bias")},
    # A classifier that is a dense layer there and a 1x1 convolution here.
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
# How many batches a norm has seen says nothing about what it computes.
IGNORED = ("num_batches_tracked",)


class Rule(NamedTuple):
    """A layer's name there, here, and its kind.

    `{stage}` and `{block}` count from the same number on both sides, but for the family's `offsets`; `{i}` is any.
    """

    source: str
    ours: str
    kind: str


@dataclass(frozen=True)
class Family:
    """Checkpoints whose tensors are named alike.

    Attributes:
        name: What error messages call it.
        mark: A tensor that every such checkpoint has, and no other.
        rules: The table. Of several rules for one name, that holds whose layer the network has.
        classifier: The layer here that a network of other classes has in another shape.
        head: All layers here that a network without its top does not have.
        offsets: What is added to `{stage}` and `{block}`.
        needs: The options that a network lacks to compute what these weights were trained for.
    """

    name: str
    mark: str
    rules: Sequence[Rule]
    classifier: str
    head: tuple[str, ...]
    offsets: Mapping[str, int] = field(default_factory=dict)
    needs: Callable[[keras.Model], list[str]] = lambda model: []


class Target(NamedTuple):
    """Where a tensor goes: the layer and variable, and how its axes lie."""

    layer: str
    variable: str
    axes: str

    @property
    def path(self) -> str:
        return f"{self.layer}/{self.variable}"


def target(family: Family, name: str, layers: Mapping[str, object]) -> Target | None:
    """Where the tensor of that name goes in a network of these layers, or `None`."""
    owner, _, part = name.rpartition(".")
    found = None
    for rule in family.rules:
        match = _pattern(rule.source).fullmatch(owner)
        if match is None or part not in PARTS[rule.kind]:
            continue
        numbers = {key: int(value) + family.offsets.get(key, 0) for key, value in match.groupdict().items()}
        found = Target(rule.ours.format(**numbers), *PARTS[rule.kind][part])
        if found.layer in layers:
            return found
    return found


@cache
def _pattern(source: str) -> re.Pattern[str]:
    escaped = re.escape(source).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>\\d+)", escaped), re.ASCII)
