"""Locates weights: in a file, a folder in the format of the Hugging Face hub, or at an address of the hub."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_se._optional import require
from keras_se._text import reason, shown

HUB = "hf://"
CONFIG = "config.json"
# The files that may hold a folder's tensors. The first one present is used; pickles come last.
FILES = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".weights.h5")
LARGEST_CONFIG = 1_000_000


@dataclass(frozen=True)
class Source:
    """A source of weights.

    Attributes:
        address: The address that was asked for.
        config: The content of `config.json`, or `None` without one.
        locate: Returns the file with the weights, and downloads it if it is on the hub.
    """

    address: str
    config: dict[str, Any] | None
    locate: Callable[[], Path]

    @cached_property
    def tensors(self) -> Path:
        """The file with the weights, on this machine. Read it last: it may be a large download."""
        return self.locate()


def find_source(address: str | os.PathLike) -> Source:
    """Finds a source of weights. From the hub, only `config.json` is downloaded.

    Args:
        address: A `.safetensors`, `.pth`, `.pt`, `.bin` or `.weights.h5` file, a folder with `config.json` and
            `model.safetensors`, or `hf://owner/name`, with `@revision` for another than the newest.

    Raises:
        ValueError: for any other address, or a missing file.
        OSError: if the hub cannot be reached, or has no such file.
    """
    if not isinstance(address, str | os.PathLike):
        raise ValueError(f"weights must be None or the address of weights. Received: weights={shown(address)}")
    text = os.fsdecode(address)
    if text.startswith(HUB):
        return _hub_source(text)
    path = Path(text)
    # `os.path`, since `Path` raises errors for names that no file can have.
    if os.path.isdir(path):
        return _folder_source(path)
    if not text.endswith(SUFFIXES):
        raise ValueError(
            f"weights must be None, a file ({', '.join(SUFFIXES)}), a folder with {CONFIG} and {FILES[0]}, "
            f"or an address like {HUB}timm/legacy_seresnet50.in1k. Received: weights={text!r}"
        )
    if not os.path.isfile(path):
        raise ValueError(f"weights must be a file that exists. Received: weights={text!r}")
    return Source(text, None, lambda: path)


def _folder_source(path: Path) -> Source:
    def locate() -> Path:
        tensors = next((path / name for name in FILES if (path / name).is_file()), None)
        if tensors is None:
            raise ValueError(f"weights must be a folder with {' or '.join(FILES)}. Received: weights={str(path)!r}")
        return tensors

    config = path / CONFIG
    if not config.is_file():
        locate()  # raises an error if the folder holds no weights either
        return Source(str(path), None, locate)
    return Source(str(path), read_config(config), locate)


def _hub_source(address: str) -> Source:
    huggingface_hub = require("huggingface_hub", "weights")
    from huggingface_hub import errors

    name, _, revision = address.removeprefix(HUB).partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise ValueError(f"A hub address must be {HUB}owner/name. Received: weights={address!r}")

    def download(file: str, revision: str | None) -> Path:
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision))

    with _hub_errors(address):
        config = download(CONFIG, revision or None)
    commit = config.parent.name  # the tensors come from the same commit, even if a newer one is published meanwhile

    def locate() -> Path:
        with _hub_errors(address):
            try:
                return download(FILES[0], commit)
            except errors.LocalEntryNotFoundError:
                # Offline, it is unknown whether the hub has this file, so the other file is used only from the cache.
                cached = huggingface_hub.try_to_load_from_cache(name, FILES[1], revision=commit)
                if isinstance(cached, str):
                    return Path(cached)
                raise
            except errors.EntryNotFoundError:
                return download(FILES[1], commit)

    return Source(address, read_config(config), locate)


@contextmanager
def _hub_errors(address: str) -> Iterator[None]:
    """Turns all errors of the hub into `OSError`, and a malformed address into `ValueError`."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(
            f"A hub address must be {HUB}owner/name. Received: weights={address!r} ({reason(error)})"
        ) from error
    except Exception as error:  # errors of the network, the hub and the cache have many classes
        # The cause tells why a file that is not in the cache could not be downloaded.
        local = isinstance(error, errors.LocalEntryNotFoundError)
        cause = error.__cause__ if local and error.__cause__ else error
        raise OSError(f"{address} could not be downloaded ({type(error).__name__}: {reason(cause)})") from error


def read_config(path: Path) -> dict[str, Any]:
    """The content of a `config.json`: `pretrained_cfg` and the keys beside it, in one dict."""
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("it is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("pretrained_cfg", {}), dict):
            raise ValueError("it is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{CONFIG} must be JSON that describes a network. Received: {str(path)!r} ({reason(error)})"
        ) from error
    return {**document.get("pretrained_cfg", {}), **{k: v for k, v in document.items() if k != "pretrained_cfg"}}
