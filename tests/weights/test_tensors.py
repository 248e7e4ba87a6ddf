"""Files of tensors: which are read, with what values, and how those that are damaged or hostile are refused."""

import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from keras_se.weights.checkpoint import open_tensors
from keras_se.weights.locate import find_source
from keras_se.weights.resolve import load_into
from tests.support.checkpoints import (
    NETWORKS,
    Checkpoint,
    assert_values,
    checkpoint,
    entry,
    refusal,
    unchanged,
    with_header,
    write,
)
from tests.support.checkpoints import safetensors as written

NETWORK = NETWORKS["legacy basic"]
TENSOR = "layer1.0.conv1.weight"


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


# Damaged files: the content of a whole file → that of a damaged one

Damage = Callable[[bytes], bytes]


def header_length(content: bytes) -> int:
    return struct.unpack("<Q", content[:8])[0]


def replaced(header: object, data: bytes = bytes(4), length: int | None = None) -> Damage:
    return lambda content: with_header(header, data, length)


ONE = entry("F32", [1], [0, 4])
NESTED = b'{"a":' * 5000 + b"1" + b"}" * 5000
TWICE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
DAMAGE: dict[str, Damage] = {
    "empty": lambda content: b"",
    "ends in the length": lambda content: content[:4],
    "ends after the length": lambda content: content[:8],
    "ends in the header": lambda content: content[: 8 + header_length(content) // 2],
    "ends after the header": lambda content: content[: 8 + header_length(content)],
    "ends in the data": lambda content: content[: (8 + header_length(content) + len(content)) // 2],
    "lacks its last byte": lambda content: content[:-1],
    "has a byte too many": lambda content: content + b"\0",
    "begins a byte late": lambda content: content[1:],
    "is compressed": lambda content: b"\x1f\x8b\x08\0" + content,
    "is a page of HTML": lambda content: b"<!DOCTYPE html><html><body>Not found</body></html>",
    "points at a file elsewhere": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "header of 2**63 bytes": lambda content: struct.pack("<Q", 2**63) + content[8:],
    "header of 2**64 - 1 bytes": lambda content: struct.pack("<Q", 2**64 - 1) + content[8:],
    "header longer than the file": lambda content: struct.pack("<Q", len(content)) + content[8:],
    "header of 99 MB": lambda content: struct.pack("<Q", 99_000_000) + content[8:],
    "header of no bytes": lambda content: struct.pack("<Q", 0) + content[8:],
    "header that ends early": lambda content: struct.pack("<Q", header_length(content) - 1) + content[8:],
    "header that is no JSON": replaced(b"hello world"),
    "header that is no text": replaced(b"\xff\xfe\0\x80"),
    "header that is a list": replaced([1, 2]),
    "header that is a number": replaced(1),
    "header that is nested deeply": replaced(NESTED),
    "tensors that overlap": replaced({"a": ONE, "b": entry("F32", [1], [2, 6])}, bytes(6)),
    "a tensor on another": replaced({"a": ONE, "b": ONE}),
    "a hole between tensors": replaced({"a": ONE, "b": entry("F32", [1], [8, 12])}, bytes(12)),
    "data that no tensor has": replaced({"a": ONE}, bytes(8)),
    "a tensor behind the end": replaced({"a": entry("F32", [1], [4000, 4004])}),
    "a tensor that ends before it begins": replaced({"a": entry("F32", [1], [4, 0])}),
    "a tensor that begins below zero": replaced({"a": entry("F32", [1], [-4, 0])}),
    "more numbers than bytes": replaced({"a": entry("F32", [3], [0, 4])}),
    "more numbers than an integer counts": replaced({"a": entry("F32", [2**40, 2**40], [0, 4])}),
    "a size below zero": replaced({"a": entry("F32", [-1], [0, 4])}),
    "a size that is no integer": replaced({"a": entry("F32", [1.5], [0, 4])}),
    "a size that is text": replaced({"a": entry("F32", ["1"], [0, 4])}),
    "a type that is unknown": replaced({"a": entry("F99", [1], [0, 4])}),
    "a type with a line break": replaced({"a": entry("F\n32\x1b[31m", [1], [0, 4])}),
    "no type": replaced({"a": {"shape": [1], "data_offsets": [0, 4]}}),
    "no offsets": replaced({"a": {"dtype": "F32", "shape": [1]}}),
    "one name twice": replaced(TWICE, bytes(8)),
    "metadata that is no text": replaced({"__metadata__": {"format": 1}, "a": ONE}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage: str, model: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", DAMAGE[damage](written(good.tensors)))
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message.startswith("weights must be a complete .safetensors file. Received: ")
    assert repr(str(path)) in message


@pytest.mark.parametrize("share", np.linspace(0, 1, 12, endpoint=False))
def test_no_beginning_of_a_file_is_taken_for_the_file(share: float, good: Checkpoint, tmp_path: Path) -> None:
    content = written(good.tensors)
    path = write(tmp_path / "model.safetensors", content[: int(share * len(content))])
    refusal(lambda: open_tensors(path))


@pytest.mark.parametrize(
    "name",
    ["two\nlines", "\x1b[31mred", "\0", "\u202ebackwards", "x" * 100_000],
    ids=["line", "escape", "zero", "bidi", "long"],
)
def test_names_that_cannot_be_printed_are_refused(name: str, good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", {**good.tensors, name: np.zeros(1, "float32")})
    message = refusal(lambda: open_tensors(path))
    assert message.startswith("Tensor names must be printable and have at most 300 characters. Received: ")
    assert len(message) < 1000


# Types

FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
NO_FLOATS = {
    "I64": np.int64,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
}


@pytest.mark.parametrize("kind", FLOATS)
def test_floats_of_every_size_keep_their_values(
    kind: str, fresh: keras.Model, good: Checkpoint, tmp_path: Path
) -> None:
    tensors = {name: value.astype(FLOATS[kind]) for name, value in good.tensors.items()}
    load_into(fresh, find_source(write(tmp_path / "model.safetensors", tensors)))
    rounded = {path: value.astype(FLOATS[kind]).astype("float32") for path, value in good.expected.items()}
    assert_values(fresh, rounded)
    assert kind in ("F64", "F32") or any((rounded[path] != good.expected[path]).any() for path in rounded)


def test_a_file_of_several_types(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    kinds = [FLOATS[kind] for kind in ("F16", "F32", "BF16", "F64")]
    mixed = {name: value.astype(kinds[i % 4]) for i, (name, value) in enumerate(good.tensors.items())}
    path = write(tmp_path / "model.safetensors", mixed)
    load_into(fresh, find_source(path))
    again = NETWORK.build()
    load_into(again, find_source(write(path, {name: value.astype("float32") for name, value in mixed.items()})))
    for actual, expected in zip(fresh.weights, again.weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("kind", NO_FLOATS)
def test_other_types_are_refused_by_name(kind: str, fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    tensors = {**good.tensors, TENSOR: np.ones(good.tensors[TENSOR].shape, NO_FLOATS[kind])}
    path = write(tmp_path / "model.safetensors", tensors)
    message = refusal(lambda: load_into(fresh, find_source(path)))
    assert message.startswith(
        f"Tensors must be dense, with dtype F64, F32, F16, BF16. Received: {TENSOR} of {kind} in "
    )


def test_counters_of_batches_may_be_whole_numbers(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    counters = {"layer0.bn1.num_batches_tracked": np.array(7, "int64")}
    load_into(fresh, find_source(write(tmp_path / "model.safetensors", {**counters, **good.tensors})))
    assert_values(fresh, good.expected)


# Values

VALUES = {
    "nan": (np.float32, [np.nan]),
    "infinity": (np.float32, [np.inf]),
    "minus infinity": (np.float32, [-np.inf]),
    "both infinities": (np.float32, [np.inf, -np.inf]),
    "nan in float64": (np.float64, [np.nan]),
    "too large for float32": (np.float64, [1e300]),
    "infinity in float16": (np.float16, [np.inf]),
    "nan in bfloat16": (ml_dtypes.bfloat16, [np.nan]),
}


@pytest.mark.parametrize("position", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("wrong", VALUES)
def test_values_that_are_no_numbers_are_refused_by_name(
    wrong: str, position: int, fresh: keras.Model, good: Checkpoint, tmp_path: Path
) -> None:
    dtype, numbers = VALUES[wrong]
    tensor = good.tensors[TENSOR].astype(dtype).ravel()
    tensor[: len(numbers)] = numbers
    tensor = (tensor if position == 0 else tensor[::-1]).reshape(good.tensors[TENSOR].shape)
    path = write(tmp_path / "model.safetensors", {**good.tensors, TENSOR: tensor})
    message = refusal(lambda: load_into(fresh, find_source(path)))
    assert message == (f"Tensors must be finite. Received: NaN or infinity in {TENSOR} of {str(path)!r}")


def test_all_tensors_with_such_values_are_counted(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    tensors = {name: value * np.float32(np.nan) for name, value in good.tensors.items()}
    message = refusal(lambda: load_into(fresh, find_source(write(tmp_path / "model.safetensors", tensors))))
    listed, more = message.partition("infinity in ")[2].partition(" of ")[0].split(" and ")
    assert more == f"{len(tensors) - 5} more"
    assert set(listed.split(", ")) < set(tensors)


def test_large_and_small_numbers_are_numbers(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    largest = np.finfo("float32").max
    tensors = {name: np.full_like(value, largest) for name, value in good.tensors.items()}
    tensors[TENSOR] = np.full_like(tensors[TENSOR], np.finfo("float32").smallest_subnormal)
    load_into(fresh, find_source(write(tmp_path / "model.safetensors", tensors)))
    assert np.max(fresh.get_layer("stem_conv").kernel) == largest
    assert np.max(fresh.get_layer("stage1_block1_conv1").kernel) == np.finfo("float32").smallest_subnormal


# Whole files


def test_what_safetensors_writes_is_read(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(good.tensors, path, metadata={"format": "pt"})
    load_into(fresh, find_source(path))
    assert_values(fresh, good.expected)


def test_a_tensor_is_read_when_it_is_asked_for(good: Checkpoint, tmp_path: Path) -> None:
    tensors = open_tensors(write(tmp_path / "model.safetensors", good.tensors))
    assert dict(tensors.shapes) == {name: value.shape for name, value in good.tensors.items()}
    for name, value in good.tensors.items():
        read = tensors.read(name)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, value)


def test_prefixes_are_taken_off(fresh: keras.Model, good: Checkpoint, tmp_path: Path) -> None:
    for prefix in ("module.", "model.", "module.model."):
        tensors = {f"{prefix}{name}": value for name, value in good.tensors.items()}
        load_into(fresh, find_source(write(tmp_path / "model.safetensors", tensors)))
        assert_values(fresh, good.expected)
    both = {**good.tensors, f"module.{TENSOR}": good.tensors[TENSOR]}
    message = refusal(lambda: open_tensors(write(tmp_path / "model.safetensors", both)))
    assert f"Received: two {TENSOR!r} in " in message


def test_a_file_that_shrinks_meanwhile(good: Checkpoint, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", good.tensors)
    tensors = open_tensors(path)
    write(path, path.read_bytes()[:-4])
    messages = [refusal(lambda: [tensors.read(name) for name in tensors.shapes])]
    assert messages[0].startswith("The file must not change while it is read. Received: ")


def test_a_file_without_tensors(model: keras.Model, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", {})
    with unchanged(model):
        message = refusal(lambda: load_into(model, find_source(path)))
    assert message.endswith(f"{str(path)!r} with tensors none")


def test_the_package_that_reads_the_file_is_named(
    good: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "model.safetensors", good.tensors)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"^This requires safetensors, .*pip install 'keras-se\[weights\]'$"):
        open_tensors(path)
