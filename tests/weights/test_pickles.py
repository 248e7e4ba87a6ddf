"""Checkpoints of PyTorch, which are pickles: their tensors are read, and code in them is not run."""

import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
import torch

from keras_se.weights.checkpoint import open_tensors
from keras_se.weights.locate import find_source
from keras_se.weights.resolve import load_into
from tests.support.checkpoints import NETWORKS, Checkpoint, assert_values, checkpoint, refusal, unchanged, write

NETWORK = NETWORKS["legacy basic"]
TENSOR = "layer1.0.conv1.weight"
REFUSED = "weights must be a PyTorch checkpoint that holds only tensors. Received: "


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return NETWORK.build()


@pytest.fixture(scope="module")
def good(model: keras.Model) -> Checkpoint:
    return checkpoint(NETWORK, model)


@pytest.fixture
def fresh(model: keras.Model) -> Iterator[keras.Model]:
    """The network, with its values put back afterwards."""
    before = model.get_weights()
    yield model
    model.set_weights(before)


@pytest.fixture
def state(good: Checkpoint) -> dict[str, Any]:
    """The checkpoint as PyTorch has it."""
    return {name: torch.tensor(value) for name, value in good.tensors.items()}


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


# Files that are read


WRAPPERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bare": lambda state: state,
    "ordered": collections.OrderedDict,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "arch": "seresnet18"},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    "state_dict_ema": lambda state: {"state_dict_ema": state, "epoch": 3},
    "averages": lambda state: {"state_dict": {"a": torch.ones(1)}, "state_dict_ema": state, "model": {}},
    "averages of a model": lambda state: {"model_ema": state, "state_dict": {"a": torch.ones(1)}},
    "module.": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "model.": lambda state: {f"model.{name}": tensor for name, tensor in state.items()},
    "both": lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    "parameters": lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
    "counters": lambda state: {**state, "layer0.bn1.num_batches_tracked": torch.tensor(5)},
    "backwards": lambda state: dict(reversed(state.items())),
    # Each tensor is a view into one storage, or lies in another order than its axes.
    "views": lambda state: {name: torch.stack([tensor, tensor])[1] for name, tensor in state.items()},
    "strides": lambda state: {name: torch.stack([tensor, tensor], dim=-1)[..., 0] for name, tensor in state.items()},
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_both_formats_are_read(
    suffix: str, zipped: bool, fresh: keras.Model, good: Checkpoint, state: dict[str, Any], tmp_path: Path
) -> None:
    content = saved(state, _use_new_zipfile_serialization=zipped)
    load_into(fresh, find_source(write(tmp_path / f"weights{suffix}", content)))
    assert_values(fresh, good.expected)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappings_are_taken_off(
    wrapper: str, fresh: keras.Model, good: Checkpoint, state: dict[str, Any], tmp_path: Path
) -> None:
    load_into(fresh, find_source(write(tmp_path / "weights.pth", saved(WRAPPERS[wrapper](state)))))
    assert_values(fresh, good.expected)


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
def test_floats_of_every_size_keep_their_values(
    kind: str, fresh: keras.Model, good: Checkpoint, state: dict[str, Any], tmp_path: Path
) -> None:
    converted = {name: tensor.to(getattr(torch, kind)) for name, tensor in state.items()}
    load_into(fresh, find_source(write(tmp_path / "weights.pth", saved(converted))))
    dtype = getattr(ml_dtypes if kind == "bfloat16" else np, kind)
    assert_values(fresh, {path: value.astype(dtype).astype("float32") for path, value in good.expected.items()})


CHANGED = """
import os, sys
from pathlib import Path

import keras, numpy as np
from keras_se.weights.checkpoint import open_tensors

path = Path(sys.argv[1])
tensors = open_tensors(path)
kept = {name: keras.Variable(np.zeros(shape, "float32")) for name, shape in tensors.shapes.items()}
for name, variable in kept.items():
    variable.assign(tensors.read(name))
before = {name: np.array(variable.value, copy=True) for name, variable in kept.items()}
with path.open("r+b") as file:
    file.write(b"\\xff" * path.stat().st_size)
print("changed:", [name for name in kept if not np.array_equal(before[name], kept[name].value)], flush=True)
os.truncate(path, 10)
assert all(np.isfinite(np.array(variable.value)).all() for variable in kept.values())
"""


def test_a_file_that_changes_later_changes_nothing(state: dict[str, Any], tmp_path: Path) -> None:
    """JAX keeps the memory of arrays that it is given: so it must not be the file's."""
    large = {**state, TENSOR: torch.ones(512, 512)}
    path = write(tmp_path / "weights.pth", saved(large))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", CHANGED, str(path)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "changed: []\n"), done.stderr[-2000:]


# Files that would run code


class Calls:
    """Pickled, it is a call that loading makes."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def program(sentinel: Path) -> str:
    return f"open({str(sentinel)!r}, 'w').close()"


CALLS: dict[str, Callable[[Path], Calls]] = {
    "os.system": lambda sentinel: Calls(os.system, f"touch '{sentinel}'"),
    "eval": lambda sentinel: Calls(eval, program(sentinel)),
    "exec": lambda sentinel: Calls(exec, program(sentinel)),
    "os.mkdir": lambda sentinel: Calls(os.mkdir, str(sentinel)),
    "subprocess": lambda sentinel: Calls(subprocess.check_call, ["touch", str(sentinel)]),
    "Path.touch": lambda sentinel: Calls(Path.touch, sentinel),
}
PLACES: dict[str, Callable[[dict, Calls], Any]] = {
    "alone": lambda state, call: call,
    "among tensors": lambda state, call: {**state, "extra": call},
    "beside the state": lambda state, call: {"state_dict": state, "epoch": call},
    "before the tensors": lambda state, call: {"args": [call], **state},
}
FORMATS: dict[str, Callable[[Any], bytes]] = {
    "zip": saved,
    "legacy": lambda value: saved(value, _use_new_zipfile_serialization=False),
    "pickle 2": lambda value: pickle.dumps(value, protocol=2),
    "pickle 4": lambda value: pickle.dumps(value, protocol=4),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("call", CALLS)
def test_code_does_not_run(call: str, format: str, model: keras.Model, state: dict[str, Any], tmp_path: Path) -> None:
    sentinel = tmp_path / "it ran"
    payload = CALLS[call](sentinel)
    place = PLACES["alone"] if format.startswith("pickle") else PLACES["among tensors"]
    path = write(tmp_path / "weights.pth", FORMATS[format](place(state, payload)))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message.startswith(f"{REFUSED}{str(path)!r}")
    assert not sentinel.exists()
    if not format.startswith("pickle"):
        # Without the refusal it does run, and what it refers to is what the message says.
        assert "it refers to " in message
        with path.open("rb") as file:
            torch.load(file, weights_only=False)
        assert sentinel.exists()


@pytest.mark.parametrize("place", PLACES)
def test_code_does_not_run_wherever_it_is(
    place: str, model: keras.Model, state: dict[str, Any], tmp_path: Path
) -> None:
    sentinel = tmp_path / "it ran"
    content = saved(PLACES[place](state, CALLS["os.system"](sentinel)))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(write(tmp_path / "weights.pth", content))))
    assert message.endswith(f"(it refers to {os.system.__module__}.system)")
    assert not sentinel.exists()


def test_the_advice_to_run_it_is_not_passed_on(model: keras.Model, tmp_path: Path) -> None:
    message = refusal(
        lambda: load_into(model, find_source(write(tmp_path / "weights.pth", saved(torch.nn.Linear(2, 2)))))
    )
    assert message.endswith("(it refers to torch.nn.modules.linear.Linear)")


# Files that are damaged, or something else


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, "hello")
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    return buffer.getvalue()


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "text": lambda content: b"these are no weights\n",
    "HTML": lambda content: b"<!DOCTYPE html><html></html>",
    "zeros": lambda content: bytes(1000),
    "other bytes": lambda content: bytes(range(128, 256)),
    "one byte": lambda content: content[:1],
    "two bytes": lambda content: content[:2],
    "a tenth": lambda content: content[: len(content) // 10],
    "half": lambda content: content[: len(content) // 2],
    "all but a byte": lambda content: content[:-1],
    "without its beginning": lambda content: content[1:],
    "another archive": lambda content: archive("hello.txt"),
    "an archive with a folder": lambda content: archive("archive/hello.txt"),
    "an archive with a false pickle": lambda content: archive("archive/data.pkl"),
    "arrays of NumPy": lambda content: arrays(),
    "a pickle that ends": lambda content: pickle.dumps({"a": [1, 2, 3]}, protocol=2)[:-4],
    "a pickle that takes more than is there": lambda content: b"\x80\x02......",
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_or_damaged_file_is_refused(
    other: str, model: keras.Model, state: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "weights.pth", OTHERS[other](saved(state)))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message.startswith(f"{REFUSED}{str(path)!r} (it ")


@pytest.mark.parametrize("content", [{}, [], None, 3, {"a": 1}, {1: torch.ones(2)}, [torch.ones(2)], torch.ones(2)])
def test_a_checkpoint_without_named_tensors(content: Any, model: keras.Model, tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", saved(content))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message == f"weights must be a PyTorch checkpoint that holds tensors. Received: {str(path)!r} with no tensor"


def test_a_name_that_is_there_twice(model: keras.Model, state: dict[str, Any], tmp_path: Path) -> None:
    """Once with a prefix, and once without."""
    path = write(tmp_path / "weights.pth", saved({**state, f"module.{TENSOR}": state[TENSOR]}))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert f"Received: two {TENSOR!r} in " in message


TENSORS: dict[str, Callable[[Any], Any]] = {
    "sparse": lambda tensor: tensor.to_sparse(),
    "without values": lambda tensor: torch.empty_like(tensor, device="meta"),
    "whole numbers": lambda tensor: tensor.to(torch.int64),
    "booleans": lambda tensor: tensor > 0.5,
    "complex": lambda tensor: tensor.to(torch.complex64),
    "eight bits": lambda tensor: tensor.to(torch.float8_e4m3fn),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_other_tensors_are_refused_by_name(
    kind: str, fresh: keras.Model, state: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "weights.pth", saved({**state, TENSOR: TENSORS[kind](state[TENSOR])}))
    message = refusal(lambda: load_into(fresh, find_source(path)))
    assert message.startswith(f"Tensors must be dense, with dtype F64, F32, F16, BF16. Received: {TENSOR} of torch.")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(number: float, fresh: keras.Model, state: dict[str, Any], tmp_path: Path) -> None:
    state[TENSOR][-1] = number
    message = refusal(lambda: load_into(fresh, find_source(write(tmp_path / "weights.pth", saved(state)))))
    assert f"Received: NaN or infinity in {TENSOR} of " in message


def test_names_that_cannot_be_printed(model: keras.Model, state: dict[str, Any], tmp_path: Path) -> None:
    with unchanged(model):
        message = refusal(
            lambda: load_into(
                model, find_source(write(tmp_path / "weights.pth", saved({**state, "a\nb": torch.ones(1)})))
            )
        )
    assert "Received: 'a\\nb' in " in message


def test_the_package_that_reads_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "weights.pth", b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"^This requires torch, .*pip install 'keras-se\[torch\]'$"):
        open_tensors(path)
