"""Where weights come from: files, folders and their config.json. Addresses on the hub are in test_hub.py."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_se.weights import ARCHITECTURES, load, preprocessing
from keras_se.weights.locate import find_source
from tests.support.checkpoints import CONFIG, NARROW, NETWORKS, SERESNET18, checkpoint, refusal, write, write_folder

FILE = "weights must be None, a file ("


# Addresses


@pytest.mark.parametrize(
    "address", [3, 0.5, True, [], {}, b"model.safetensors", object, np.zeros(3), np.zeros((40, 3))]
)
def test_an_address_is_text_or_a_path(address: Any) -> None:
    for call in (find_source, lambda address: NETWORKS["legacy basic"].build(weights=address)):
        message = refusal(lambda call=call: call(address))
        assert message.startswith("weights must be None or the address of weights. Received: weights=")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "imagenets",
        "model",
        "model.h5",
        "model.keras",
        "model.onnx",
        "model.SAFETENSORS",
        "timm/seresnet50",
        "hf:/a/b",
    ],
)
def test_other_files_are_refused(address: str) -> None:
    message = refusal(lambda: find_source(address or "/nowhere"))
    assert message.startswith(FILE)
    assert message.endswith(f"Received: weights={address or '/nowhere'!r}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin", ".weights.h5"])
def test_a_file_that_is_not_there(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"two\nlines{suffix}"
    assert refusal(lambda: find_source(path)) == f"weights must be a file that exists. Received: weights={str(path)!r}"


def test_a_file_of_each_kind_is_found(tmp_path: Path) -> None:
    for suffix in (".safetensors", ".pth", ".pt", ".bin", ".weights.h5"):
        path = write(tmp_path / f"a{suffix}", b"")
        for address in (path, str(path)):
            source = find_source(address)
            assert (source.address, source.tensors, source.config) == (str(path), path, None)


def link(path: Path, target: Any) -> Path:
    path.symlink_to(target)
    return path


def directory(path: Path) -> Path:
    path.mkdir()
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)  # opening it would wait for ever
    return path


# What stands in the place of a file → what the message says of it.
IN_PLACE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a folder": (directory, "weights must be a folder with model.safetensors or pytorch_model.bin. "),
    "a link to itself": (lambda path: link(path, path), "weights must be a file that exists. "),
    "a link to nothing": (lambda path: link(path, "nothing"), "weights must be a file that exists. "),
    "a link around": (lambda path: link(link(path.with_name("b"), path) and path, "b"), "weights must be a file that"),
    "a pipe": (pipe, "weights must be a file that exists. "),
    "a device": (lambda path: link(path, "/dev/zero"), "weights must be a file that exists. "),
    "a name too long": (lambda path: path.with_name("x" * 300 + path.suffix), "weights must be a file that exists. "),
    "a zero in the name": (lambda path: path.with_name("\0" + path.name), "weights must be a file that exists. "),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("place", IN_PLACE)
def test_what_is_no_file(place: str, suffix: str, tmp_path: Path) -> None:
    make, expected = IN_PLACE[place]
    path = make(tmp_path / f"model{suffix}")
    message = refusal(lambda: NETWORKS["legacy basic"].build(weights=path))
    assert message.startswith(expected)
    assert message.endswith(f"Received: weights={str(path)!r}")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".weights.h5"])
def test_a_file_that_cannot_be_read(suffix: str, tmp_path: Path) -> None:
    """Not even by root: it is the memory of this process, whose first page nobody may read."""
    path = link(tmp_path / f"model{suffix}", "/proc/self/mem")
    message = refusal(lambda: NETWORKS["legacy basic"].build(weights=path))
    assert repr(str(path)) in message


# Folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("weights"), checkpoint(SERESNET18).tensors)


def test_a_folder_without_tensors(tmp_path: Path) -> None:
    write(tmp_path / "config.json", json.dumps(CONFIG))
    message = refusal(lambda: load(tmp_path))
    assert message == (
        f"weights must be a folder with model.safetensors or pytorch_model.bin. Received: weights={str(tmp_path)!r}"
    )


def test_pickles_come_last(tmp_path: Path) -> None:
    write(tmp_path / "pytorch_model.bin", b"")
    assert find_source(tmp_path).tensors.name == "pytorch_model.bin"
    write(tmp_path / "model.safetensors", b"")
    assert find_source(tmp_path).tensors.name == "model.safetensors"


def test_a_description_alone(tmp_path: Path) -> None:
    write(tmp_path / "config.json", json.dumps(CONFIG))
    assert preprocessing(tmp_path).size == (32, 32)


def test_a_folder_without_a_description(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {})
    assert find_source(tmp_path).config is None
    for call in (load, preprocessing):
        message = refusal(lambda call=call: call(tmp_path))
        assert message.startswith("A source of weights requires a config.json that names the architecture. Received: ")


def test_what_is_described_beside_wins(tmp_path: Path) -> None:
    """timm writes `num_classes` of the network there, and of the weights' first training below."""
    write_folder(tmp_path, {}, {"a": 1, "num_classes": 7, "pretrained_cfg": {"num_classes": 5, "b": 2}})
    assert find_source(tmp_path).config == {"a": 1, "num_classes": 7, "b": 2}


CONFIGS: dict[str, Any] = {
    "is empty": "",
    "is no JSON": "architecture: seresnet50",
    "ends early": json.dumps(CONFIG)[:-2],
    "is no text": b"\xff\xfe{\0}\0",
    "is nested deeply": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "is huge": json.dumps({**CONFIG, "comment": "x" * 1_000_000}),
    "has a number of many digits": '{"num_classes": ' + "9" * 100_000 + "}",
    "is a list": [CONFIG],
    "is text": '"seresnet50"',
    "is nothing": "null",
    "has no object inside": {**CONFIG, "pretrained_cfg": ["input_size", 3]},
    "has nothing inside": {**CONFIG, "pretrained_cfg": None},
}


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_that_is_no_description(config: str, tmp_path: Path) -> None:
    write_folder(tmp_path, {}, CONFIGS[config])
    for call in (load, preprocessing):
        message = refusal(lambda call=call: call(tmp_path))
        assert message.startswith(
            f"config.json must be JSON that describes a network. Received: {str(tmp_path / 'config.json')!r} ("
        )


ARCHITECTURE = "The architecture must be in keras_se.weights.ARCHITECTURES. Received: "


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("seresnet51", "seresnet50"),
        ("legacy_seresnext50_32x8d", "legacy_seresnext50_32x4d"),
        ("resnet50", "seresnet50"),
        ("mobilenetv3_small_075", "mobilenetv3_small_100"),
        ("SEResNet50", None),
        ("vit_base_patch16_224", None),
        ("", None),
        (None, None),
        (50, None),
        (["seresnet50"], None),
        ({"name": "seresnet50"}, None),
        ("seresnet50\n\x1b[31m", None),
        ("x" * 500_000, None),
    ],
)
def test_an_architecture_that_is_unknown(name: Any, near: str | None, tmp_path: Path) -> None:
    message = refusal(lambda: load(write_folder(tmp_path, {}, {**CONFIG, "architecture": name})))
    assert message.startswith(ARCHITECTURE)
    nearest = message.partition(" The nearest are ")[2]
    assert (near or "") in nearest
    assert all(found in ARCHITECTURES for found in nearest.removesuffix(".").split(", ") if found)


def test_no_architecture(tmp_path: Path) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "architecture"}
    message = refusal(lambda: load(write_folder(tmp_path, {}, config)))
    assert message.startswith(f"{ARCHITECTURE}None in {str(tmp_path)!r}.")


PREPARED = "config.json must describe the preprocessing of images with three channels: "
# What a field says → how the message goes on.
FIELDS: list[tuple[str, Any, str]] = [
    ("std", [0.2, 0, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, -0.2, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, 1e-40, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, 1e300, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", 0.2, "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, "0.2", 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, None, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2, True, 0.2], "std must be 3 numbers from 0.001 to 1000.0. "),
    ("std", [0.2] * 100_000, "std must be 3 numbers from 0.001 to 1000.0. "),
    ("mean", [0.2, float("nan"), 0.2], "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", [0.2, float("inf"), 0.2], "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", [0.2, -1e300, 0.2], "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", [0.2, 10**400, 0.2], "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", {"r": 0.2}, "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", [[0.2, 0.2, 0.2]], "mean must be 3 numbers from -1000 to 1000. "),
    ("mean", "0.2", "mean must be 3 numbers from -1000 to 1000. "),
    ("num_classes", 0, "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", -5, "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", 2.5, "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", 10**9, "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", 10**400, "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", "5", "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", [], "classes must be a whole number from 1 to 10000000. "),
    ("num_classes", True, "classes must be a whole number from 1 to 10000000. "),
    ("input_size", [1, 32, 32], "input_size must have three channels. "),
    ("input_size", [32, 32, 3], "input_size must have three channels. "),
    ("input_size", [3, 0, 32], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, -32, 32], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, 32.5, 32], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, 10**6, 10**6], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, 10**400, 32], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, 8, 8], "input_shape must be "),
    ("input_size", [3, 32], "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", 32, "size must be 2 whole numbers from 1 to 100000. "),
    ("input_size", [3, 32, float("nan")], "size must be 2 whole numbers from 1 to 100000. "),
    ("crop_pct", 0, "crop must be a number from 0.5 to 1. "),
    ("crop_pct", -0.9, "crop must be a number from 0.5 to 1. "),
    ("crop_pct", 1e-9, "crop must be a number from 0.5 to 1. "),
    ("crop_pct", 1.5, "crop must be a number from 0.5 to 1. "),
    ("crop_pct", "0.9", "crop must be a number from 0.5 to 1. "),
    ("crop_pct", float("nan"), "crop must be a number from 0.5 to 1. "),
    ("interpolation", "cubic", "interpolation must be one of "),
    ("crop_mode", "squash", 'crop_mode must be "center". '),
    ("interpolation", "", "interpolation must be one of "),
    ("interpolation", 3, "interpolation must be one of "),
    ("interpolation", ["bicubic"], "interpolation must be one of "),
    ("interpolation", {"a": 1}, "interpolation must be one of "),
    ("interpolation", "x\n" * 100_000, "interpolation must be one of "),
]


@pytest.mark.parametrize(("field", "value", "expected"), FIELDS, ids=[f"{row[0]}-{i}" for i, row in enumerate(FIELDS)])
def test_a_field_out_of_its_range(field: str, value: Any, expected: str, folder: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {}, {**CONFIG, field: value})
    (tmp_path / "model.safetensors").unlink()
    link(tmp_path / "model.safetensors", folder / "model.safetensors")
    message = refusal(lambda: load(tmp_path, **NARROW))
    assert message.startswith(expected if expected.startswith("input_shape") else PREPARED + expected)


def test_weights_are_those_of_the_address(folder: Path) -> None:
    assert refusal(lambda: load(folder, weights="imagenet")).startswith(
        "weights must be left out, since the address names them. Received: "
    )


def test_the_reduction_of_a_rounded_excitation(tmp_path: Path) -> None:
    write_folder(tmp_path, {}, {**CONFIG, "architecture": "seresnet18"})
    message = refusal(lambda: load(tmp_path, r=8))
    assert message.startswith("seresnet18 requires se in place of r, such as se=lambda stage: SqueezeExcite(8, ")
    assert message.endswith("Received: r=8")


def test_options_are_those_of_the_builder(folder: Path) -> None:
    with pytest.raises(TypeError, match="depth"):
        load(folder, depth=3)


# The hub, without one


@pytest.mark.parametrize(
    "address",
    [
        "hf://",
        "hf://timm",
        "hf://timm/",
        "hf:///a",
        "hf://a/b/c",
        "hf://@main",
        "hf://a b/c",
        "hf://../..",
        "hf://a/b\nc",
    ],
)
def test_an_address_on_the_hub(address: str) -> None:
    message = refusal(lambda: find_source(address))
    assert message.startswith(f"A hub address must be hf://owner/name. Received: weights={address!r}")


def test_the_package_that_downloads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"^This requires huggingface_hub, .*pip install 'keras-se\[weights\]'$"):
        find_source("hf://timm/seresnet50")


def test_the_network_is_the_one_described(folder: Path) -> None:
    model = load(folder, **NARROW)
    assert isinstance(model, keras.Model)
    assert model.preprocessing == preprocessing(folder)
