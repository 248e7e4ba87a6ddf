"""Names of the channels of a classifier's output."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_se.export.frontend.tensor_spec import Tensor

# The largest number of characters of all labels together.
LONGEST = 1 << 20
IMAGENET = "imagenet"


def labels_of(labels: Any, outputs: Sequence[Tensor]) -> tuple[str, ...] | None:
    """The labels that an argument stands for.

    Args:
        labels: A list of strings; the path of a text file with one on each line; `"imagenet"` for the names of its
            classes; or `None`.
        outputs: The model's outputs.

    Raises:
        ValueError: for anything else, unless the model has one output with as many channels as there are labels.
    """
    if labels is None:
        return None
    found = _read(labels) if isinstance(labels, str | os.PathLike) else labels
    if not isinstance(found, list | tuple) or not all(_is_label(label) for label in found):
        raise ValueError(
            "labels must be a list of strings, one for each channel of the output, none of them empty or of several "
            f'lines; a text file of such lines; or "imagenet". Received: {_shown(labels, found)}'
        )
    if len(outputs) != 1 or not outputs[0].shape:
        names = [tensor.name for tensor in outputs]
        raise ValueError(f"labels requires a model with one output that has channels. Received: outputs {names}")
    channels = outputs[0].shape[-1]
    if len(found) != channels:
        raise ValueError(
            f"labels must be one for each of the {channels} channels of the output {outputs[0].name!r}. "
            f"Received: {len(found)} labels"
        )
    if sum(map(len, found)) > LONGEST:
        raise ValueError(f"labels must have at most {LONGEST} characters together. Received: {sum(map(len, found))}")
    return tuple(found)


def _read(path: str | os.PathLike) -> list[str]:
    if path == IMAGENET:
        from keras_se.weights.preprocessing import labels

        return [name for _, name in labels()]
    try:
        if Path(path).stat().st_size > 4 * LONGEST:
            raise ValueError("it is too large")
        return [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"labels must be a text file in UTF-8, with a label on each line. Received: {str(path)!r} ({error})"
        ) from error


def _is_label(label: Any) -> bool:
    if not isinstance(label, str) or not label.strip() or len(label.splitlines()) != 1:
        return False
    return label.encode(errors="ignore").decode() == label  # False with half of a surrogate pair


def _shown(labels: Any, found: Any) -> str:
    if not isinstance(found, list | tuple):
        return f"labels of {type(labels).__name__}"
    wrong = next(label for label in found if not _is_label(label))
    return f"a label {str(wrong)[:40]!r}"
