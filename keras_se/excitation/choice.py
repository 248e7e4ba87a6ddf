"""Selects the blocks and classes of a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_se.complexity import STAGE
from keras_se.excitation.record import Gates, Recording

MOST_BLOCKS = 5
Labels = Sequence[Any] | np.ndarray


def channel_blocks(recorded: Recording, labels: Labels | None) -> list[Gates]:
    """Blocks with channel gates: those with these labels, or the last of each stage, or a few from first to last."""
    found = {gates.label: gates for gates in recorded.blocks if gates.of_channels}
    default = _last_of_stages(list(found)) or evenly(list(found), MOST_BLOCKS)
    return select_blocks(found, labels, default, "blocks with channel gates")


def select_blocks(
    found: Mapping[str, Gates], labels: Labels | None, default: Sequence[str], described: str
) -> list[Gates]:
    """The blocks with these labels, or with the default ones. `described` describes the blocks in `found`, for errors.

    Raises:
        ValueError: for a label that no block has, or no label at all.
    """
    _check_no_string("blocks", labels)
    labels = default if labels is None else labels
    if not len(labels) or any(label not in found for label in labels):
        raise ValueError(f"blocks must be a list of {described}: {list(found)}. Received: {list(labels)}")
    return [found[label] for label in labels]


def _check_no_string(name: str, given: Any) -> None:
    if isinstance(given, str):
        raise ValueError(f"{name} must be a list, such as [{given!r}]. Received: {name}={given!r}")


def evenly(labels: Sequence[str], most: int) -> list[str]:
    """At most `most` labels, evenly spaced from the first to the last."""
    places = np.linspace(0, len(labels) - 1, min(most, len(labels))).round().astype(int)
    return [labels[place] for place in places]


def members(recorded: Recording, labels: Labels, classes: Labels | None, most: int) -> dict[str, np.ndarray]:
    """A mask of the samples of each class, by its name. By default, of the `most` classes with the most samples."""
    given = np.asarray(labels)
    if given.shape != (recorded.samples,):
        raise ValueError(
            f"labels must be a list of {recorded.samples} labels, one per sample. Received: shape {given.shape}"
        )
    known, counts = np.unique(given, return_counts=True)
    _check_no_string("classes", classes)
    if classes is None:
        classes = np.sort(known[np.argsort(-counts, kind="stable")[:most]]).tolist()
    classes = np.asarray(classes).tolist()
    if not classes or not set(classes) <= set(known.tolist()):
        raise ValueError(f"classes must be a list of labels among {known.tolist()}. Received: {classes}")
    return {str(name): given == name for name in classes}


def _last_of_stages(labels: Sequence[str]) -> list[str]:
    """The last block of each stage, if the names of all layers tell their stage; otherwise no block."""
    stages = [[match.group(1) for part in label.split("/") if (match := STAGE.match(part))] for label in labels]
    return list({found[0]: label for found, label in zip(stages, labels, strict=True)}.values()) if all(stages) else []
