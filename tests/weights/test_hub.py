"""Addresses on the hub: huggingface_hub downloads them from a hub on this machine, into its cache, or does not."""

import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.checkpoints import CONFIG, NARROW, SERESNET18, Checkpoint, checkpoint, safetensors
from tests.support.hub import Behaviour, Client, Hub, client, sha

DESCRIBED = json.dumps(CONFIG).encode()
TENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def online(hub: Hub, home: Path) -> Iterator[Client]:
    # Its patience with a silent server is two seconds.
    with client(hub.url, home, HF_HUB_ETAG_TIMEOUT="2", HF_HUB_DOWNLOAD_TIMEOUT="2") as process:
        yield process


@pytest.fixture(scope="module")
def offline(hub: Hub, home: Path) -> Iterator[Client]:
    """With the cache of the client that is online."""
    with client(hub.url, home, HF_HUB_OFFLINE="1") as process:
        yield process


@pytest.fixture(scope="module")
def cut_off(home: Path) -> Iterator[Client]:
    """With the same cache, and a hub that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        with client(f"http://127.0.0.1:{unused.getsockname()[1]}", home) as process:
            yield process


@pytest.fixture(scope="module")
def good() -> Checkpoint:
    return checkpoint(SERESNET18)


@pytest.fixture(scope="module")
def other() -> Checkpoint:
    return checkpoint(SERESNET18, seed=1)


def files(weights: Checkpoint) -> dict[str, bytes]:
    return {"config.json": DESCRIBED, TENSORS: safetensors(weights.tensors)}


def digests(weights: Checkpoint) -> dict[str, str]:
    return {path: sha(value.tobytes()) for path, value in weights.expected.items()}


def load(process: Client, address: str) -> dict[str, str]:
    answer = process.ask("load", address, **NARROW)
    assert "error" not in answer, answer
    return answer["result"]


def repeated(process: Client, call: str, address: str, **options: Any) -> Any:
    """What is found or loaded in the end: an attempt may fail, but not otherwise than with an `OSError`."""
    for _ in range(5):
        answer = process.ask(call, address, **options)
        if "error" not in answer:
            return answer["result"]
        refusal(answer)
    raise AssertionError(answer)


def refusal(answer: dict[str, Any], kind: str = "OSError") -> str:
    """The message of an error: one line, whose kind is exactly this, and which was there soon."""
    assert answer.get("error") == kind, answer
    assert answer["message"].isprintable()
    assert len(answer["message"]) < 1000
    assert answer["seconds"] < 20
    return answer["message"]


# Downloads and the cache


def test_weights_are_downloaded_once(hub: Hub, online: Client, offline: Client, good: Checkpoint) -> None:
    hub.publish("timm/once", files(good))
    assert load(online, "hf://timm/once") == digests(good)
    assert len(hub.asked("timm/once", "GET")) == 2
    assert {request.file for request in hub.asked("timm/once")} == {"config.json", TENSORS}
    # The second time, only what the newest commit is.
    assert load(online, "hf://timm/once") == digests(good)
    assert len(hub.asked("timm/once", "GET")) == 2
    # Without a hub, not even that.
    asked = len(hub.requests)
    assert load(offline, "hf://timm/once") == digests(good)
    assert len(hub.requests) == asked


def test_a_hub_that_is_gone_leaves_the_cache(hub: Hub, online: Client, cut_off: Client, good: Checkpoint) -> None:
    hub.publish("timm/gone", files(good))
    assert load(online, "hf://timm/gone") == digests(good)
    assert load(cut_off, "hf://timm/gone") == digests(good)


def test_what_was_not_loaded_is_not_there_offline(hub: Hub, online: Client, offline: Client, good: Checkpoint) -> None:
    hub.publish("timm/absent", files(good))
    hub.publish("timm/present", files(good))
    hub.publish("timm/present", files(good), revision="v2")
    message = refusal(offline.ask("load", "hf://timm/absent"))
    assert message.startswith("hf://timm/absent could not be downloaded (LocalEntryNotFoundError: ")
    load(online, "hf://timm/present")
    refusal(offline.ask("load", "hf://timm/present@v2"))
    assert not hub.asked("timm/absent")


def test_a_hub_that_is_not_there(cut_off: Client) -> None:
    message = refusal(cut_off.ask("load", "hf://timm/nowhere"))
    assert message.startswith("hf://timm/nowhere could not be downloaded (LocalEntryNotFoundError: ")
    assert "refused" in message


@pytest.mark.parametrize("revision", ["v2", "refs/pr/1", "a branch"])
def test_revisions(
    revision: str, hub: Hub, online: Client, offline: Client, good: Checkpoint, other: Checkpoint
) -> None:
    name = f"timm/revisions-{len(revision)}"
    hub.publish(name, files(good))
    commit = hub.publish(name, files(other), revision)
    assert load(online, f"hf://{name}@{revision}") == digests(other)
    assert {request.revision for request in hub.asked(name)} <= {revision, commit}
    assert hub.asked(name)[0].revision == revision
    assert load(online, f"hf://{name}") == digests(good)
    assert load(online, f"hf://{name}@{commit}") == digests(other)
    for address, expected in (("", good), (f"@{revision}", other), (f"@{commit}", other)):
        assert load(offline, f"hf://{name}{address}") == digests(expected)


def test_a_new_commit_is_noticed(
    hub: Hub, online: Client, offline: Client, good: Checkpoint, other: Checkpoint
) -> None:
    first = hub.publish("timm/new", files(good))
    assert load(online, "hf://timm/new") == digests(good)
    hub.publish("timm/new", files(other))
    assert load(online, "hf://timm/new") == digests(other)
    assert len(hub.asked("timm/new", "GET", "config.json")) == 1  # it is the same
    assert len(hub.asked("timm/new", "GET", TENSORS)) == 2
    assert load(offline, "hf://timm/new") == digests(other)
    assert load(offline, f"hf://timm/new@{first}") == digests(good)


# Which files


def pickled(value: Any, **options: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.mark.reference
def test_a_pickle_if_there_is_nothing_else(hub: Hub, online: Client, offline: Client, good: Checkpoint) -> None:
    import torch

    state = {name: torch.tensor(value) for name, value in good.tensors.items()}
    hub.publish("timm/pickle", {"config.json": DESCRIBED, PICKLE: pickled(state)})
    assert load(online, "hf://timm/pickle") == digests(good)
    assert [request.file for request in hub.asked("timm/pickle", "GET")] == ["config.json", PICKLE]
    assert offline.ask("find", "hf://timm/pickle")["result"]["file"] == PICKLE


def test_no_pickle_if_there_is_something_else(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/both", {**files(good), PICKLE: b"never read"})
    assert load(online, "hf://timm/both") == digests(good)
    assert not hub.asked("timm/both", file=PICKLE)


def test_no_pickle_if_the_hub_fails(hub: Hub, online: Client, good: Checkpoint) -> None:
    """That the tensors could not be downloaded does not mean that the hub does not have them."""
    hub.publish("timm/half-there", {**files(good), PICKLE: b"never read"})
    hub.errors["timm/half-there", TENSORS] = 500, ""
    refusal(online.ask("load", "hf://timm/half-there", **NARROW))
    assert not hub.asked("timm/half-there", file=PICKLE)
    del hub.errors["timm/half-there", TENSORS]
    assert load(online, "hf://timm/half-there") == digests(good)


@pytest.mark.reference
def test_a_pickle_of_the_hub_runs_no_code(hub: Hub, online: Client, tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch '{tmp_path / 'it ran'}'",)

    hub.publish("timm/hostile", {"config.json": DESCRIBED, PICKLE: pickled({"a": Call()})})
    message = refusal(online.ask("load", "hf://timm/hostile", **NARROW), "ValueError")
    assert "holds only tensors" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        {"config.json": DESCRIBED},
        {TENSORS: b"", PICKLE: b""},
        {},
        {"config.json": DESCRIBED, "model.onnx": b"", "tf_model.h5": b""},
    ],
    ids=["no tensors", "no config", "nothing", "other files"],
)
def test_files_that_are_not_there(content: dict[str, bytes], hub: Hub, online: Client) -> None:
    name = f"timm/lacking-{len(content)}-{sha(''.join(content).encode())[:8]}"
    hub.publish(name, content)
    message = refusal(online.ask("load", f"hf://{name}"))
    assert message.startswith(f"hf://{name} could not be downloaded (")
    assert "EntryNotFoundError" in message
    assert not hub.asked(name, "GET", TENSORS)


@pytest.mark.parametrize(
    "config", [b"", b"[]", b"{", b'{"architecture": "seresnet5000"}', b'{"num_classes": -1}'], ids=range(5)
)
def test_a_config_that_is_wrong(config: bytes, hub: Hub, online: Client, good: Checkpoint) -> None:
    name = f"timm/wrong-{sha(config)[:8]}"
    hub.publish(name, {**files(good), "config.json": config})
    assert "Received: " in refusal(online.ask("load", f"hf://{name}"), "ValueError")


def test_a_config_that_is_no_json_is_no_reason_to_download(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/no-json", {**files(good), "config.json": b"<html>"})
    refusal(online.ask("load", "hf://timm/no-json"), "ValueError")
    assert not hub.asked("timm/no-json", file=TENSORS)


def test_tensors_are_downloaded_last(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/last", files(good))
    assert online.ask("preprocessing", "hf://timm/last")["result"] == {"size": [32, 32]}
    assert online.ask("load", "hf://timm/last", depth=3)["error"] == "TypeError"
    refusal(online.ask("load", "hf://timm/last", classes=0), "ValueError")
    refusal(online.ask("load", "hf://timm/last", input_shape=(3, 3, 3)), "ValueError")
    hub.publish("timm/unknown", {**files(good), "config.json": b'{"architecture": "vgg16"}'})
    refusal(online.ask("load", "hf://timm/unknown"), "ValueError")
    assert not hub.asked("timm/last", file=TENSORS)
    assert not hub.asked("timm/unknown", file=TENSORS)


def test_tensors_are_those_of_the_description(hub: Hub, online: Client, good: Checkpoint) -> None:
    commit = hub.publish("timm/pinned", files(good))
    load(online, "hf://timm/pinned")
    assert {request.revision for request in hub.asked("timm/pinned", file="config.json")} <= {"main", commit}
    assert {request.revision for request in hub.asked("timm/pinned", file=TENSORS)} == {commit}


# What is not there, and what is not given


def test_a_repository_that_is_not_there(online: Client) -> None:
    message = refusal(online.ask("load", "hf://timm/nothing"))
    assert message.startswith("hf://timm/nothing could not be downloaded (RepositoryNotFoundError: ")


def test_a_revision_that_is_not_there(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/once-more", files(good))
    message = refusal(online.ask("load", "hf://timm/once-more@v9"))
    assert message.startswith("hf://timm/once-more@v9 could not be downloaded (RevisionNotFoundError: ")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "GatedRepo"),
        (403, "GatedRepo"),
        (401, ""),
        (403, ""),
        (404, ""),
        (400, ""),
        (418, ""),
        (500, ""),
        (503, ""),
    ],
)
def test_a_hub_that_refuses_or_fails(status: int, code: str, hub: Hub, online: Client, good: Checkpoint) -> None:
    name = f"timm/status-{status}{code}"
    hub.publish(name, files(good))
    hub.errors[name, "config.json"] = status, code
    message = refusal(online.ask("load", f"hf://{name}", **NARROW))
    assert message.startswith(f"hf://{name} could not be downloaded (")
    del hub.errors[name, "config.json"]
    assert load(online, f"hf://{name}") == digests(good)


# Interrupted downloads


@pytest.fixture(scope="module")
def large() -> bytes:
    """So large that huggingface_hub writes it in several parts."""
    return np.random.default_rng(0).bytes(24_000_000)


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/broken", files(good))
    behaviour = hub.behaviour["timm/broken", TENSORS] = Behaviour(until=1000, times=2)
    assert repeated(online, "load", "hf://timm/broken", **NARROW) == digests(good)
    assert behaviour.times == 0


def test_only_the_rest_is_downloaded(hub: Hub, online: Client, large: bytes) -> None:
    hub.publish("timm/large", {"config.json": DESCRIBED, TENSORS: large})
    hub.behaviour["timm/large", TENSORS] = Behaviour(until=15_000_000, times=1)
    assert repeated(online, "find", "hf://timm/large")["sha"] == sha(large)
    first, second = hub.asked("timm/large", "GET", TENSORS)
    assert first.range is None
    assert second.range is not None
    assert 0 < int(second.range.removeprefix("bytes=").removesuffix("-")) <= 15_000_000


def test_failed_download_leaves_no_partial_file_in_use(
    hub: Hub, online: Client, offline: Client, good: Checkpoint
) -> None:
    hub.publish("timm/failing", files(good))
    hub.behaviour["timm/failing", TENSORS] = Behaviour(until=1000, times=float("inf"))
    message = refusal(online.ask("load", "hf://timm/failing", **NARROW))
    assert message.startswith("hf://timm/failing could not be downloaded (")
    refusal(offline.ask("load", "hf://timm/failing", **NARROW))
    del hub.behaviour["timm/failing", TENSORS]
    assert load(online, "hf://timm/failing") == digests(good)
    assert load(offline, "hf://timm/failing") == digests(good)


def test_a_file_shorter_than_announced(hub: Hub, online: Client, offline: Client, good: Checkpoint) -> None:
    hub.publish("timm/shorter", files(good))
    hub.behaviour["timm/shorter", TENSORS] = Behaviour(shorter=10)
    refusal(online.ask("load", "hf://timm/shorter", **NARROW))
    refusal(offline.ask("load", "hf://timm/shorter", **NARROW))
    del hub.behaviour["timm/shorter", TENSORS]
    assert load(online, "hf://timm/shorter") == digests(good)


def test_a_file_that_was_published_broken(hub: Hub, online: Client, good: Checkpoint) -> None:
    whole = files(good)
    hub.publish("timm/bad", {**whole, TENSORS: whole[TENSORS][:-100]})
    message = refusal(online.ask("load", "hf://timm/bad", **NARROW), "ValueError")
    assert message.startswith("weights must be a complete .safetensors file. Received: ")
    hub.publish("timm/bad", whole)
    assert load(online, "hf://timm/bad") == digests(good)


def test_a_commit_between_two_attempts(hub: Hub, online: Client, good: Checkpoint, other: Checkpoint) -> None:
    """The rest of another file is not appended to the beginning of the first."""
    hub.publish("timm/between", files(good))
    hub.behaviour["timm/between", TENSORS] = Behaviour(until=2000, times=float("inf"))
    refusal(online.ask("load", "hf://timm/between", **NARROW))
    del hub.behaviour["timm/between", TENSORS]
    hub.publish("timm/between", files(other))
    assert load(online, "hf://timm/between") == digests(other)


def test_a_silent_hub(hub: Hub, online: Client, good: Checkpoint) -> None:
    hub.publish("timm/silent", files(good))
    hub.behaviour["timm/silent", TENSORS] = Behaviour(until=1000, times=1, silent=True)
    assert repeated(online, "load", "hf://timm/silent", **NARROW) == digests(good)


def test_a_process_that_is_killed(hub: Hub, home: Path, online: Client, large: bytes) -> None:
    hub.publish("timm/killed", {"config.json": DESCRIBED, TENSORS: large})
    behaviour = hub.behaviour["timm/killed", TENSORS] = Behaviour(until=15_000_000, times=1, silent=True)
    hub.reached.clear()
    with client(hub.url, home) as first:
        first.send("find", "hf://timm/killed")
        assert hub.reached.wait(60)
        first.process.kill()
        first.process.wait()
    assert online.ask("find", "hf://timm/killed")["result"]["sha"] == sha(large)
    assert behaviour.times == 0
