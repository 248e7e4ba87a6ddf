"""Where weights come from: a file, a folder in the format of the Hugging Face hub, or an address there."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_se._text import reason, shown

HUB = "hf://"
CONFIG = "config.json"
# What a folder's tensors are in: the first that is there. Pickles come last.
FILES = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".weights.h5")
LARGEST_CONFIG = 1_000_000


@dataclass(frozen=True)
class Source:
    """A description of weights, and the way to them.

    Attributes:
        address: What was asked for.
        config: What `config.json` says, or `None` where there is none.
        locate: Returns the file with the weights; if it is on the hub, it is downloaded.
    """

    address: str
    config: dict[str, Any] | None
    locate: Callable[[], Path]

    @cached_property
    def tensors(self) -> Path:
        """The file with the weights, on this machine: asked for when all else is known to be right."""
        return self.locate()


def find(address: str | os.PathLike) -> Source:
    """Finds a source of weights. Of an address on the hub, its `config.json` is downloaded, and no more.

    Args:
        address: A `.safetensors`, `.pth`, `.pt`, `.bin` or `.weights.h5` file, a folder with `config.json` and
            `model.safetensors`, or `hf://owner/name`, with `@revision` if not the newest is wanted.

    Raises:
        ValueError: for anything else, or a file that is not there.
        OSError: if the hub cannot be reached, or has no such description.
    """
    if not isinstance(address, str | os.PathLike):
        raise ValueError(f"weights must be None or an address of weights. Received: weights={shown(address)}")
    text = os.fsdecode(address)
    if text.startswith(HUB):
        return _of_hub(text)
    path = Path(text)
    # `os.path`, for which a name that no file can have is a file that is not there.
    if os.path.isdir(path):
        return _of_folder(path)
    if not text.endswith(SUFFIXES):
        raise ValueError(
            f"weights must be None, a file ({', '.join(SUFFIXES)}), a folder with {CONFIG} and {FILES[0]}, "
            f"or an address like {HUB}timm/legacy_seresnet50.in1k. Received: weights={text!r}"
        )
    if not os.path.isfile(path):
        raise ValueError(f"weights must be a file that exists. Received: weights={text!r}")
    return Source(text, None, lambda: path)


def _of_folder(path: Path) -> Source:
    def locate() -> Path:
        tensors = next((path / name for name in FILES if (path / name).is_file()), None)
        if tensors is None:
            raise ValueError(f"weights must be a folder with {' or '.join(FILES)}. Received: weights={str(path)!r}")
        return tensors

    config = path / CONFIG
    if not config.is_file():
        locate()  # there is nothing of use then
        return Source(str(path), None, locate)
    return Source(str(path), read_config(config), locate)


def _of_hub(address: str) -> Source:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ImportError(f"{HUB} addresses need huggingface_hub: pip install 'keras-se[weights]'") from error
    name, _, revision = address.removeprefix(HUB).partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise ValueError(f"An address on the hub must be {HUB}owner/name. Received: weights={address!r}")

    def download(file: str, revision: str | None) -> Path:
        return Path(huggingface_hub.hf_hub_download(name, file, revision=revision))

    with _named(address):
        described = download(CONFIG, revision or None)
    commit = described.parent.name  # the tensors are those of the same one, whatever is published meanwhile

    def locate() -> Path:
        with _named(address):
            try:
                return download(FILES[0], commit)
            except errors.LocalEntryNotFoundError:
                # Without the hub, nobody knows whether it has the file: only what was loaded before is loaded again.
                cached = huggingface_hub.try_to_load_from_cache(name, FILES[1], revision=commit)
                if isinstance(cached, str):
                    return Path(cached)
                raise
            except errors.EntryNotFoundError:
                return download(FILES[1], commit)

    return Source(address, read_config(described), locate)


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Raises what goes wrong with the hub as one kind of error."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(
            f"An address on the hub must be {HUB}owner/name. Received: weights={address!r} ({reason(error)})"
        ) from error
    except Exception as error:  # of the network, of the hub, of the cache: many kinds, and none means anything else
        # That a file is not in the cache has a reason of its own.
        local = isinstance(error, errors.LocalEntryNotFoundError)
        cause = error.__cause__ if local and error.__cause__ else error
        raise OSError(f"{address} could not be downloaded ({type(error).__name__}: {reason(cause)})") from error


def read_config(path: Path) -> dict[str, Any]:
    """What a `config.json` says: `pretrained_cfg` and what stands beside it, in one dict."""
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("it is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("pretrained_cfg", {}), dict):
            raise ValueError("it is not an object")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{CONFIG} must be JSON that describes a network. Received: {str(path)!r} ({reason(error)})"
        ) from error
    return {**document.get("pretrained_cfg", {}), **{k: v for k, v in document.items() if k != "pretrained_cfg"}}
